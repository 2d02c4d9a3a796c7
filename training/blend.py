"""Weighs the two branches on dev: how much of each, in short texts and in long ones.

Each branch was fitted to predict alone, so that the n-grams, which all but memorise the training rows, leave the
recurrent branch its gradient; adding their logits is then a product of two experts (Hinton 2002). How sharp the sum
is to be is no matter of the graph: the package has a temperature for that (`training.calibration`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.batches import DevBatches
from training.config import BlendConfig, DataSet
from training.models.classifier import Classifier
from training.scores import decide, score

Floats = NDArray[np.float32]


Shares = tuple[float, float]
"""The n-grams' share in short texts and in long ones; see `Classifier.ngram_share`."""


@dataclass(frozen=True, slots=True)
class Blend:
    """The n-grams' shares, the mean dev score where both are the same, and the chosen ones' mean and figure a set."""

    ngram_shares: Shares
    dev: dict[float, float]
    chosen: float
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Member:
    """Logits float32[rows, C] of both branches on one dev set, the rows' tokens, and what they are scored by."""

    recurrent: Tensor
    ngrams: Tensor
    lens: Tensor
    labels: NDArray[np.int64]
    classes: NDArray[np.bool_]


def blend(
    network: Classifier,
    dev: Mapping[str, DevBatches],
    sets: Sequence[DataSet],
    config: BlendConfig,
    say: Callable[[str], None],
) -> Blend:
    """Choose the shares with the best mean dev score, and set them; a network without n-grams has shares of 0.

    A share for all lengths is taken unless two of them are better.
    """
    members = {name: _member(network, batches) for name, batches in dev.items()}
    shares = config.ngram_shares if network.ngrams is not None else (0.0,)
    pairs = sorted(product(shares, shares), key=lambda pair: abs(pair[0] - pair[1]))
    figures = {pair: _figures(network, members, sets, pair) for pair in pairs}
    means = {pair: float(np.mean(list(found.values()))) for pair, found in figures.items()}
    best = max(means, key=means.__getitem__)
    for pair in [(share, share) for share in shares] + [best]:
        found = " ".join(f"{name} {figure:.4f}" for name, figure in figures[pair].items())
        say(f"blend: n-grams {pair[0]:.2f} short, {pair[1]:.2f} long: dev {means[pair]:.4f} {found}")
    network.ngram_shares.copy_(torch.tensor(best))
    return Blend(best, {share: means[share, share] for share in shares}, means[best], figures[best])


def run(branch: nn.Module, batches: DevBatches) -> Floats:
    """Return a branch's logits float32[rows, C] in the order in which `batches` holds its rows."""
    branch.eval()
    with torch.inference_mode():
        return torch.cat([branch(batch.ids, batch.lens) for batch in batches]).numpy()


def _member(network: Classifier, batches: DevBatches) -> _Member:
    order = np.concatenate(batches.order)
    recurrent = torch.from_numpy(run(network.recurrent, batches))
    return _Member(
        recurrent,
        recurrent if network.ngrams is None else torch.from_numpy(run(network.ngrams, batches)),
        torch.cat([batch.lens for batch in batches]),
        batches.corpus.labels[order],
        batches.corpus.classes,
    )


def _figures(
    network: Classifier, members: Mapping[str, _Member], sets: Sequence[DataSet], shares: Shares
) -> dict[str, float]:
    network.ngram_shares.copy_(torch.tensor(shares))
    found = {}
    for one in sets:
        member = members[one.name]
        logits: Floats = member.recurrent.numpy()
        if network.ngrams is not None:
            with torch.inference_mode():
                logits = network.blended(member.recurrent, member.ngrams, member.lens).numpy()
        decided = decide(logits, member.classes)
        found[one.name] = score(member.labels, decided, member.classes).of(one.metric)
    return found
