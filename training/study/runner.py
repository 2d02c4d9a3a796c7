"""One run of a study: the loop that `sluice-train train` uses, in a folder that is thrown away."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lightning.pytorch.callbacks import Callback

from training import train
from training.batches import DevBatches
from training.blend import blend
from training.config import RunConfig
from training.loop import RecurrentTraining, averaged_branch
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

    Pre-training, where the config has it, is part of the run and of its cost. Where `blend.ngram_shares` is zero alone,
    the n-gram branch is not fitted and counts for nothing.
    """
    started, cpu = time.monotonic(), time.process_time()
    with TemporaryDirectory(dir=scratch, prefix="run-") as folder:
        paths = RunPaths(Path(folder))
        paths.tokenizer.symlink_to(prepared.tokenizer.resolve())
        paths.prepared.symlink_to(prepared.prepared.resolve(), target_is_directory=True)
        network = train.new_network(config, paths)
        parameters = sum(weight.numel() for weight in network.recurrent.parameters())
        if config.pretrain is not None:
            pretrain(config, paths, lambda _: None, resume=False)
            load_encoder(network.recurrent, paths.pretrained)
        if network.ngrams is not None and max(config.blend.ngram_shares) > 0:
            train.fit_ngrams(network, config, paths, lambda _: None)
        training = train.fit_recurrent(network, config, paths, resume=False, watchers=watchers)
        network.recurrent = averaged_branch(training)
        dev = {name: DevBatches(corpus, config.loop, PAD_ID) for name, corpus in open_dev(config, paths).items()}
        found = blend(network, dev, config.sets, config.blend, lambda _: None)
    epochs = _epochs(training)
    return Outcome(
        score=sum(found.figures.values()) / len(found.figures),
        parameters=parameters,
        epochs=epochs,
        steps=training.global_step,
        seconds_per_epoch=round(training.seconds / epochs, 3),
        seconds=round(time.monotonic() - started, 3),
        cpu_seconds=round(time.process_time() - cpu, 3),
    )


def _epochs(training: RecurrentTraining) -> int:
    return int(training.trainer.current_epoch)
