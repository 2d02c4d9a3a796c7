"""The stages of a summarizer's training: a language model, sentences to restore, summaries; each can be resumed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_file, save_model

from training import checkpoints
from training.errors import RunError
from training.halves import rounded
from training.models.pointer import PointerGenerator
from training.paths import RunPaths
from training.plots import learning_curves
from training.pretrain import (
    Pretraining,
    Windows,
    encoder_weights,
    language_model,
    load_encoder,
    perplexities,
)
from training.pretrain import open_trainer as open_reader
from training.quiet import quiet
from training.resuming import forget, refuse_other
from training.summarize import vocabulary
from training.summarize.batches import DevPairs, TrainPairs
from training.summarize.config import StageConfig, SummarizeConfig
from training.summarize.corpus import Pairs
from training.summarize.loop import DevSet, PointerTraining, averaged_network, open_trainer
from training.summarize.prepare import dev_pairs, documents, training_pairs
from training.summarize.prepare import stream as open_stream
from training.summarize.restore import drawn
from training.trainer import ONE_CPU, Machines

READ, RESTORED = "encoder.safetensors", "restored"
# What a fit depends on; the card's words and the way the package writes are not among it.
SETTINGS: Any = {
    "language": True,
    "seed": True,
    "vocabulary": True,
    "model": True,
    "pretrain": True,
    "loop": True,
    "sets": {"__all__": {"name", "kind", "rows_per_epoch", "rows", "pairs", "scored"}},
}
Say = Callable[[str], None]


def pretrain(
    config: SummarizeConfig, paths: RunPaths, say: Say, *, resume: bool = True, machines: Machines = ONE_CPU
) -> None:
    """Fit the stages before the summaries and write the weights to start from; `RunError` where there are none."""
    settings = config.pretrain
    if settings is None or (settings.language_model is None and settings.restore is None):
        raise RunError(f"{config.name}: the config has no [pretrain] section, so there is nothing to pre-train")
    network = new_network(config, paths)
    if settings.language_model is not None:
        _read_on(network, config, paths, say, resume=resume, machines=machines)
    if settings.restore is not None:
        below = paths.below(RESTORED)
        pairs = [(drawn(documents(paths), settings.restore, config.seed), settings.restore.rows_per_epoch)]
        say(f"restore: {len(pairs[0][0])} passages")
        training = fit(
            network, pairs, settings.restore.loop, config, paths=below, say=say, resume=resume, machines=machines
        )
        network = averaged_network(training)
    save_model(network, str(paths.pretrained))
    say(f"pretrain: wrote {paths.pretrained}")


def train(
    config: SummarizeConfig, paths: RunPaths, say: Say, *, resume: bool = True, machines: Machines = ONE_CPU
) -> None:
    """Fit on pairs and save the network with the best dev score; with `resume`, go on from the last checkpoint.

    `RunError` where the run that is there was begun with other settings.
    """
    if not resume:
        forget(paths)
    take_up(config, paths)
    network = new_network(config, paths)
    if config.pretrain is not None:
        load_model(network, str(paths.need(paths.pretrained, "pretrain")))
    pairs = training_pairs(config, paths)
    training = fit(network, pairs, config.loop, config, paths=paths, say=say, resume=resume, machines=machines)
    save_model(averaged_network(training), str(paths.network))
    paths.curves.parent.mkdir(exist_ok=True)
    learning_curves(paths.logs, paths.curves)


def fit(
    network: PointerGenerator,
    pairs: Sequence[tuple[Pairs, int]],
    stage: StageConfig,
    config: SummarizeConfig,
    *,
    paths: RunPaths,
    say: Say,
    resume: bool,
    machines: Machines,
) -> PointerTraining:
    """Fit one stage and return its training with the weights that scored best on dev; writes train.json beside."""
    batches = TrainPairs(pairs, stage, config.seed)
    network.train()
    dev = {
        name: DevSet(DevPairs(rows, stage), summaries)
        for name, (rows, summaries) in dev_pairs(config, paths, stage.dev_rows).items()
    }
    say(f"{paths.root.name}: {len(batches)} batches an epoch, {stage.epochs} epochs")
    training = PointerTraining(
        network,
        stage,
        dev,
        vocabulary.load(paths.need(paths.tokenizer, "prepare")),
        language=config.language,
        steps=len(batches) * stage.epochs,
        seed=config.seed,
        max_summary_tokens=config.vocabulary.max_summary_tokens,
    )
    last = paths.last if resume and paths.last.exists() else None
    paths.root.mkdir(parents=True, exist_ok=True)
    with quiet(), paths.log.open("a", encoding="utf-8", buffering=1) as log:
        trainer = open_trainer(stage, paths, log, machines)
        trainer.fit(training, batches, [one.batches for one in dev.values()], ckpt_path=last)
        # Where the stage ended, so that a second call finds nothing left to do.
        trainer.save_checkpoint(paths.last)
        training.load_state_dict(checkpoints.load(paths.best)["state_dict"])
        trainer.validate(training, [one.batches for one in dev.values()], verbose=False)
    report = {
        "seconds": round(training.seconds, 1),
        "steps": int(trainer.global_step),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dev": {name: asdict(figures) for name, figures in training.dev_figures.items()},
    }
    paths.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    say(f"{paths.root.name}: {report['dev']}")
    return training


def new_network(config: SummarizeConfig, paths: RunPaths) -> PointerGenerator:
    """Make the untrained network; its first weights are a function of the seed."""
    size = vocabulary.load(paths.need(paths.tokenizer, "prepare")).get_vocab_size()
    torch.manual_seed(config.seed)
    return PointerGenerator(config.model, size, vocabulary.PAD_ID)


def load_network(config: SummarizeConfig, paths: RunPaths) -> PointerGenerator:
    """Open what `train` wrote, rounded as it is shipped."""
    network = new_network(config, paths)
    load_model(network, str(paths.need(paths.network, "train")))
    return rounded(network.eval())


def _read_on(
    network: PointerGenerator, config: SummarizeConfig, paths: RunPaths, say: Say, *, resume: bool, machines: Machines
) -> None:
    """Fit the language model, or take the weights that are there, and put them into the network."""
    settings = config.pretrain.language_model if config.pretrain else None
    if settings is None:
        return
    weights = paths.pretrain_logs / READ
    if not (resume and weights.exists()):
        windows = Windows(open_stream(paths), settings, config.seed)
        say(f"language model: {len(windows)} batches of {settings.rows} x {settings.window} an epoch")
        model = language_model(network, open_stream(paths), settings)
        training = Pretraining(model, settings, steps=len(windows) * settings.epochs, seed=config.seed)
        last = paths.pretraining if resume and paths.pretraining.exists() else None
        trainer = open_reader(settings, paths, machines)
        with quiet():
            trainer.fit(training, windows, ckpt_path=last)
        save_file(encoder_weights(model), str(weights))
        found = perplexities(model, _dev_stream(config, paths), settings)
        paths.pretrain_report.write_text(json.dumps({"perplexities": found}) + "\n", encoding="utf-8")
        say(f"language model: perplexities on dev {found}")
    load_encoder(network, weights)


def _dev_stream(config: SummarizeConfig, paths: RunPaths) -> Any:
    documents = [
        pairs.sources.row(at) for pairs, _ in dev_pairs(config, paths, 200).values() for at in range(len(pairs))
    ]
    end = np.array([vocabulary.PAD_ID], dtype=np.int32)
    return np.concatenate(
        [part for at in np.random.default_rng(0).permutation(len(documents)) for part in (documents[at], end)]
    )


def take_up(config: SummarizeConfig, paths: RunPaths) -> None:
    """Begin a run or go on with it; `RunError` where it was begun with other settings of what is fitted."""
    refuse_other(config.model_dump(mode="json", include=SETTINGS), paths, _fitted)


def _fitted(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a fit depends on: not the minutes, since the schedule goes by what is left, nor a set only tested."""
    kept = {key: _without_minutes(value) for key, value in settings.items()}
    return kept | {"sets": [one for one in settings["sets"] if one["rows_per_epoch"] or one["scored"]]}


def _without_minutes(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_minutes(one) for key, one in value.items() if key != "minutes"}
