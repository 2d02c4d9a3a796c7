"""Distillation from an ensemble: finished runs say what they think of every row that a new run will learn from.

The mean of several networks' probabilities errs less than any of them, and one network that learns it keeps most of the
gain (Hinton et al. 2015); on text without labels it is the only teacher there is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training import tokenizer
from training.batches import DevBatches
from training.config import RunConfig, load
from training.corpus import Corpus
from training.errors import RunError
from training.models.classifier import Classifier
from training.paths import RunPaths
from training.prepare import DEV, split_of
from training.train import load_network

Floats = NDArray[np.float32]


def distill(config: RunConfig, paths: RunPaths, runs: Path, say: Callable[[str], None]) -> None:
    """Let the finished runs that the config names teach it.

    `RunError` where the config has no [distill], or a teacher is not trained or tells other labels apart.
    """
    if config.distill is None:
        raise RunError(f"{config.name}: the config has no [distill] section, so there is no teacher")
    teach(config, paths, [_finished(config, RunPaths(runs / name)) for name in config.distill.teachers], say)


def teach(config: RunConfig, paths: RunPaths, teachers: Sequence["Teacher"], say: Callable[[str], None]) -> None:
    """Write taught/<set>.<split>.npy, float32[rows, C]: the teachers' mean probabilities."""
    if config.distill is None:
        raise RunError(f"{config.name}: the config has no [distill] section, so there is nothing to teach")
    wanted = {(one.name, part.split): one.name for one in config.sets for part in one.train}
    wanted |= {(one.name, one.split): one.like for one in config.distill.texts}
    for (name, split), like in wanted.items():
        rows = len(split_of(paths, name, split))
        classes = split_of(paths, like, DEV).classes
        said = [teacher.probabilities(name, split, rows, classes) for teacher in teachers]
        mean = np.mean(said, axis=0, dtype=np.float32)
        out = paths.taught(name, split)
        out.parent.mkdir(parents=True, exist_ok=True)
        np.save(out, mean)
        certain = float((mean.max(axis=1) > 0.9).mean())  # noqa: PLR2004 - told to a person, not acted on
        say(f"distill: {name}/{split}: {rows} rows, {certain:.0%} of them above 0.9")


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained network, which reads its own prepared arrays of the same rows, in its own tokens."""

    config: RunConfig
    paths: RunPaths
    network: Classifier

    def probabilities(self, name: str, split: str, rows: int, classes: NDArray[np.bool_]) -> Floats:
        """Return float32[rows, C] over the open classes bool[C]; `RunError` where it has other rows."""
        corpus = split_of(self.paths, name, split)
        if len(corpus) != rows:
            raise RunError(f"{self.paths.root}: {name}/{split} has {len(corpus)} rows there, {rows} here")
        return probabilities(self.network, corpus, classes, self.config)


def _finished(student: RunConfig, paths: RunPaths) -> Teacher:
    config = load(paths.need(paths.config, "train"))
    if config.labels != student.labels:
        raise RunError(f"{paths.root}: tells {list(config.labels)} apart, not {list(student.labels)}")
    return Teacher(config, paths, load_network(config, paths))


def probabilities(network: Classifier, corpus: Corpus, classes: NDArray[np.bool_], config: RunConfig) -> Floats:
    """Return float32[rows, C] over the open classes bool[C], in the order of the corpus; closed ones are zero."""
    batches = DevBatches(corpus, config.loop, tokenizer.PAD_ID)
    found: Floats = np.zeros((len(corpus), len(classes)), dtype=np.float32)
    closed = torch.from_numpy(~classes)  # [C]
    network.eval()
    with torch.inference_mode():
        for batch, index in zip(batches, batches.order, strict=True):
            logits = network(batch.ids, batch.lens).masked_fill(closed, -torch.inf)  # [B, C]
            found[index] = logits.softmax(dim=1).numpy()
    return found
