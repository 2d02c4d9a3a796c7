"""Weighs the two branches on dev: how much of each.

Each branch was fitted to predict alone, so that the n-grams, which all but memorise the training rows, leave the
recurrent branch its gradient; adding their logits is then a product of two experts (Hinton 2002). How sharp the sum
is to be is no matter of the graph: the package has a temperature for that (`training.calibration`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.batches import DevBatches
from training.config import BlendConfig, DataSet
from training.models.classifier import Classifier
from training.scores import decide, score

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Blend:
    """The n-grams' share, each share's mean dev score, and the chosen one's figure a set."""

    ngram_share: float
    dev: dict[float, float]
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Member:
    """Logits float32[rows, C] of both branches on one dev set, with what they are scored by."""

    recurrent: Floats
    ngrams: Floats
    labels: NDArray[np.int64]
    classes: NDArray[np.bool_]

    def mixed(self, share: float) -> Floats:
        return (1 - share) * self.recurrent + share * self.ngrams


def blend(
    network: Classifier,
    dev: Mapping[str, DevBatches],
    sets: Sequence[DataSet],
    config: BlendConfig,
    say: Callable[[str], None],
) -> Blend:
    """Choose the share with the best mean dev score, and set it; a network without n-grams has share 0."""
    members = {name: _member(network, batches) for name, batches in dev.items()}
    shares = config.ngram_shares if network.ngrams is not None else (0.0,)
    figures = {share: _figures(members, sets, share) for share in shares}
    means = {share: float(np.mean(list(found.values()))) for share, found in figures.items()}
    for share, mean in means.items():
        say(
            f"blend: n-grams {share:.2f}: dev {mean:.4f} " + " ".join(f"{k} {v:.4f}" for k, v in figures[share].items())
        )
    share = max(means, key=means.__getitem__)
    network.recurrent_scale.fill_(1 - share)
    network.ngram_scale.fill_(share)
    return Blend(share, means, figures[share])


def run(branch: nn.Module, batches: DevBatches) -> Floats:
    """Return a branch's logits float32[rows, C] in the order in which `batches` holds its rows."""
    branch.eval()
    with torch.inference_mode():
        return torch.cat([branch(batch.ids, batch.lens) for batch in batches]).numpy()


def _member(network: Classifier, batches: DevBatches) -> _Member:
    order = np.concatenate(batches.order)
    recurrent = run(network.recurrent, batches)
    return _Member(
        recurrent,
        np.zeros_like(recurrent) if network.ngrams is None else run(network.ngrams, batches),
        batches.corpus.labels[order],
        batches.corpus.classes,
    )


def _figures(members: Mapping[str, _Member], sets: Sequence[DataSet], share: float) -> dict[str, float]:
    found = {}
    for one in sets:
        member = members[one.name]
        decided = decide(member.mixed(share), member.classes)
        found[one.name] = score(member.labels, decided, member.classes).of(one.metric)
    return found
