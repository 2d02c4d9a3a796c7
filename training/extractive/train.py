"""Fits the extractor on prepared documents, and writes the network with a report of what it measured on dev."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from safetensors.torch import load_model, save_model

from training import checkpoints, tokenizer
from training.extractive.batches import DevDocuments, TrainDocuments
from training.extractive.config import ExtractConfig, FitConfig
from training.extractive.loop import DevSet, ExtractTraining, averaged_network
from training.extractive.prepare import DEV, dev_texts, opened, training_documents
from training.halves import rounded
from training.models.extractor import Extractor
from training.paths import RunPaths
from training.plots import learning_curves
from training.quiet import quiet
from training.resuming import forget, refuse_other
from training.trainer import ONE_CPU, Machines, open_trainer

# What a fit depends on, but for how long it may take; the card's words and the way the package quotes are not among it.
SETTINGS: Any = {
    "language": True,
    "seed": True,
    "tokenizer": True,
    "document": True,
    "model": True,
    "loop": set(FitConfig.model_fields) - {"minutes"},
    "sets": {"__all__": {"name", "rows", "rows_per_epoch", "sentences"}},
}
Say = Callable[[str], None]


def train(
    config: ExtractConfig, paths: RunPaths, say: Say, *, resume: bool = True, machines: Machines = ONE_CPU
) -> None:
    """Fit and save the network with the best dev score; with `resume`, go on from the last checkpoint.

    `RunError` where the run that is there was begun with other settings.
    """
    if not resume:
        forget(paths)
    refuse_other(config.model_dump(mode="json", include=SETTINGS), paths)
    training = _fit(new_network(config, paths), config, paths, resume=resume, machines=machines)
    save_model(averaged_network(training), str(paths.network))
    report = {
        "seconds": round(training.seconds, 1),
        "steps": training.global_step,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dev": {name: asdict(rouge) for name, rouge in training.dev_scores.items()},
    }
    paths.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    paths.curves.parent.mkdir(exist_ok=True)
    learning_curves(paths.logs, paths.curves)
    say(f"train: {report}")


def new_network(config: ExtractConfig, paths: RunPaths) -> Extractor:
    """Make the untrained network; its first weights are a function of the seed."""
    vocabulary = tokenizer.load(paths.need(paths.tokenizer, "prepare"))
    torch.manual_seed(config.seed)
    return Extractor(config.model, vocabulary.get_vocab_size(), tokenizer.PAD_ID)


def load_network(config: ExtractConfig, paths: RunPaths) -> Extractor:
    """Open what `train` wrote, rounded as it is shipped."""
    network = new_network(config, paths)
    load_model(network, str(paths.need(paths.network, "train")))
    return rounded(network.eval())


def _fit(
    network: Extractor, config: ExtractConfig, paths: RunPaths, *, resume: bool, machines: Machines
) -> ExtractTraining:
    batches = TrainDocuments(training_documents(config, paths), config.loop, config.seed)
    dev = {
        one.name: DevSet(
            DevDocuments(opened(paths, one.name, DEV), config.loop, config.loop.dev_rows),
            dev_texts(paths, one.name),
            one.sentences,
        )
        for one in config.sets
    }
    training = ExtractTraining(network.train(), config, dev, steps=len(batches) * config.loop.epochs)
    loop = config.loop.loop(config.document.max_sentence_tokens)
    last = paths.last if resume and paths.last.exists() else None
    loaders = [one.batches for one in dev.values()]
    with quiet(), paths.log.open("a", encoding="utf-8", buffering=1) as log:
        trainer = open_trainer(loop, paths, log, machines=machines, watchers=())
        trainer.fit(training, batches, loaders, ckpt_path=last)
        # Where the run ended, so that a second `train` finds nothing left to do.
        trainer.save_checkpoint(paths.last)
        training.load_state_dict(checkpoints.load(paths.best)["state_dict"])
        trainer.validate(training, loaders, verbose=False)
    return training
