"""One run of a study: the loop that `sluice-train train` uses, in a folder that is thrown away."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from lightning.pytorch.callbacks import Callback

from training import train
from training.batches import DevBatches
from training.blend import blend
from training.config import RunConfig
from training.distill import Teacher, teach
from training.loop import RecurrentTraining, averaged_branch
from training.models.classifier import Classifier
from training.paths import RunPaths
from training.prepare import dev as open_dev
from training.pretrain import load_encoder, pretrain
from training.tokenizer import PAD_ID


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run measured: its set's own figure on dev, and what it cost.

    `parameters` are those of the recurrent branch. `seconds_per_epoch` is the training loop's, a look at dev between
    two epochs included; `seconds` is everything, from the untrained network to the score, and `cpu_seconds` that
    without the time in which other processes had the core.
    """

    score: float
    parameters: int
    epochs: int
    steps: int
    seconds_per_epoch: float
    seconds: float
    cpu_seconds: float


def run(config: RunConfig, prepared: RunPaths, scratch: Path, watchers: Sequence[Callback] = ()) -> Outcome:
    """Train, blend and score on dev; what is scored is what would be packed, by its weights at their best epoch.

    Pre-training and teachers, where the config has them, are part of the run and of its cost. Where
    `blend.ngram_shares` is zero alone, the n-gram branch is not fitted and counts for nothing.
    """
    started, cpu = time.monotonic(), time.process_time()
    with TemporaryDirectory(dir=scratch, prefix="run-") as folder:
        paths = _on(prepared, Path(folder) / "run")
        if config.distill is not None:
            wanted = enumerate(teachers_of(config))
            teachers = [_teacher(one, _on(prepared, Path(folder) / f"teacher-{at}")) for at, one in wanted]
            teach(config, paths, teachers, _silent)
        fitted = _fit(config, paths, watchers)
    epochs = _epochs(fitted.training)
    return Outcome(
        score=sum(fitted.figures.values()) / len(fitted.figures),
        parameters=fitted.parameters,
        epochs=epochs,
        steps=fitted.training.global_step,
        seconds_per_epoch=round(fitted.training.seconds / epochs, 3),
        seconds=round(time.monotonic() - started, 3),
        cpu_seconds=round(time.process_time() - cpu, 3),
    )


def teachers_of(config: RunConfig) -> list[RunConfig]:
    """Return the runs that teach this one: itself without [distill], by seeds of their own.

    A study has no finished runs to name, so a name in `distill.teachers` is only a teacher's place. The seeds follow
    from the student's, so that students of different seeds share no teacher and stay independent.
    """
    alone = config.loop.model_copy(update={"distill_weight": 0.0, "distill_temperature": 1.0})
    seeds = np.random.SeedSequence(config.seed).generate_state(len(config.distill.teachers) if config.distill else 0)
    return [config.model_copy(update={"seed": int(seed), "distill": None, "loop": alone}) for seed in seeds]


def _teacher(config: RunConfig, paths: RunPaths) -> Teacher:
    return Teacher(config, paths, _fit(config, paths).network)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A blended network, the training of its recurrent branch with that one's parameters, and its figures by set."""

    network: Classifier
    training: RecurrentTraining
    parameters: int
    figures: dict[str, float]


def _fit(config: RunConfig, paths: RunPaths, watchers: Sequence[Callback] = ()) -> _Fitted:
    network = train.new_network(config, paths)
    parameters = sum(weight.numel() for weight in network.recurrent.parameters())
    if config.pretrain is not None:
        pretrain(config, paths, _silent, resume=False)
        load_encoder(network.recurrent, paths.pretrained)
    if network.ngrams is not None and max(config.blend.ngram_shares) > 0:
        train.fit_ngrams(network, config, paths, _silent)
    training = train.fit_recurrent(network, config, paths, resume=False, watchers=watchers)
    network.recurrent = averaged_branch(training)
    dev = {name: DevBatches(corpus, config.loop, PAD_ID) for name, corpus in open_dev(config, paths).items()}
    found = blend(network, dev, config.sets, config.blend, _silent)
    return _Fitted(network, training, parameters, found.figures)


def _on(prepared: RunPaths, root: Path) -> RunPaths:
    """Return a run's own folder, with the shared preparation in it."""
    root.mkdir()
    paths = RunPaths(root)
    paths.tokenizer.symlink_to(prepared.tokenizer.resolve())
    paths.prepared.symlink_to(prepared.prepared.resolve(), target_is_directory=True)
    return paths


def _silent(_: str) -> None:
    """Say nothing: a study has hundreds of runs."""


def _epochs(training: RecurrentTraining) -> int:
    return int(training.trainer.current_epoch)
