"""Fits the n-gram branch: multinomial logistic regression over hashed n-grams, to its optimum by L-BFGS.

Gradient descent beside the recurrent branch was weighed and left: Adam gives an n-gram seen once as long a step as one
seen a thousand times, and the branch then memorises. The optimum of a convex loss needs no schedule and no seed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]
from scipy.sparse import csr_matrix, vstack  # type: ignore[import-untyped]

from training.batches import Source
from training.config import RunConfig
from training.corpus import Corpus
from training.models.config import ModelConfig
from training.models.ngrams import NgramBranch, bucket_ids
from training.scores import decide, score

Floats = NDArray[np.float32]
PIECE = 4096


@dataclass(frozen=True, slots=True)
class LinearFit:
    """The chosen weights float32[buckets, C] and bias float32[C], and the mean dev score at each L2 strength."""

    weights: Floats
    bias: Floats
    l2: float
    dev: dict[float, float]
    seconds: float

    def save(self, path: Path) -> None:
        """Write as .npz, without pickle."""
        scores = np.array(sorted(self.dev.items()))
        np.savez(path, weights=self.weights, bias=self.bias, l2=self.l2, dev=scores, seconds=self.seconds)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            dev = {float(key): float(value) for key, value in arrays["dev"]}
            return cls(arrays["weights"], arrays["bias"], float(arrays["l2"]), dev, float(arrays["seconds"]))

    def copy_to(self, branch: NgramBranch) -> None:
        """Make `branch` compute this fit."""
        with torch.no_grad():
            branch.table.weight.copy_(torch.from_numpy(self.weights))
            branch.bias.copy_(torch.from_numpy(self.bias))


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is minimised over: features [N, buckets], one-hot targets, open classes and weights of each row."""

    features: csr_matrix
    targets: Floats
    classes: NDArray[np.bool_]
    weights: Floats


def fit(
    sources: Sequence[Source],
    dev: Mapping[str, Corpus],
    config: RunConfig,
    say: Callable[[str], None],
) -> LinearFit:
    """Fit at each L2 strength in turn, each from the one before, and keep what scores best on dev."""
    started = time.monotonic()
    model, sets = config.model, config.sets
    problem = _problem(sources, model)
    rarity = _inverse_frequency(problem.features)
    leash = _leash(problem, config.ngrams.bayes)
    problem.features.data *= rarity[problem.features.indices]
    features = {name: count(corpus, model) for name, corpus in dev.items()}
    classes = problem.targets.shape[1]
    solution = np.zeros((model.ngram_buckets + 1) * classes)
    best: LinearFit | None = None
    scores: dict[float, float] = {}
    for l2 in sorted(config.ngrams.l2, reverse=True):
        solution = _minimise(problem, leash, solution, l2, config.ngrams.max_iterations)
        table = solution.reshape(-1, classes).astype(np.float32)
        weights, bias = table[:-1] * leash * rarity[:, None], table[-1]
        figures = {
            one.name: score(
                dev[one.name].labels,
                decide(features[one.name] @ weights + bias, dev[one.name].classes),
                dev[one.name].classes,
            ).of(one.metric)
            for one in sets
        }
        scores[l2] = float(np.mean(list(figures.values())))
        say(f"n-grams: l2 {l2:g}: dev {scores[l2]:.4f} " + " ".join(f"{k} {v:.4f}" for k, v in figures.items()))
        if best is None or scores[l2] > scores[best.l2]:
            best = LinearFit(weights, bias, l2, scores, 0.0)
    if best is None:
        raise AssertionError("This is a bug: the config holds at least one L2 strength.")
    return replace(best, seconds=round(time.monotonic() - started, 1))


def count(corpus: Corpus, model: ModelConfig) -> csr_matrix:
    """Return float32[rows, buckets]: how often each n-gram occurs, divided by the square root of the row's tokens."""
    # In pieces: the n-grams of a whole corpus side by side would fill the memory.
    starts = range(0, len(corpus), PIECE)
    return vstack([_count(corpus, at, min(at + PIECE, len(corpus)), model) for at in starts], format="csr")


def _count(corpus: Corpus, start: int, stop: int, model: ModelConfig) -> csr_matrix:
    ids = corpus.ids[corpus.starts[start] : corpus.starts[stop]]
    lens = corpus.lens[start:stop]
    row_of = np.repeat(np.arange(stop - start), lens)
    rows, columns = [], []
    for order in model.ngram_orders:
        if len(ids) < order:
            continue
        first, last = row_of[: len(ids) - order + 1], row_of[order - 1 :]
        inside = first == last
        rows.append(first[inside])
        columns.append(bucket_ids(ids, order, model.ngram_buckets)[inside])
    row, column = np.concatenate(rows), np.concatenate(columns)
    values = (1 / np.sqrt(lens)).astype(np.float32)[row]
    return csr_matrix((values, (row, column)), shape=(stop - start, model.ngram_buckets))


def _problem(sources: Sequence[Source], model: ModelConfig) -> _Problem:
    labels = np.concatenate([one.corpus.labels for one in sources])
    weights = np.concatenate([one.weights * one.rows_per_epoch / len(one.corpus) for one in sources])
    classes = np.concatenate([np.tile(one.corpus.classes, (len(one.corpus), 1)) for one in sources])
    return _Problem(
        features=vstack([count(one.corpus, model) for one in sources], format="csr", dtype=np.float32),
        targets=np.eye(classes.shape[1], dtype=np.float32)[labels],
        classes=classes,
        weights=(weights / weights.sum()).astype(np.float32),
    )


def _inverse_frequency(features: csr_matrix) -> Floats:
    """Return float32[buckets], ln((1 + N) / (1 + rows that have it)) + 1; the L2 then spares rare n-grams."""
    rows, width = features.shape
    having = np.bincount(features.indices, minlength=width)
    rarity: Floats = (np.log((1 + rows) / (1 + having)) + 1).astype(np.float32)
    return rarity


def _leash(problem: _Problem, bayes: float) -> Floats:
    """Return float32[buckets, C], 1 in the mean: how far a weight gets for the same price.

    Of naive Bayes, the size of the logarithm of how much more of a class's n-grams than of the others' this one is,
    each row by its weight. Where the ratio says that an n-gram tells nothing, its weight is held short.
    """
    _, classes = problem.targets.shape
    held = np.ones((problem.features.shape[1], classes), np.float32)
    if not bayes:
        return held
    occurs = problem.features.T.tocsr().copy()
    occurs.data = np.ones_like(occurs.data)
    rows = problem.weights * len(problem.weights)
    for at in range(classes):
        ours, known = problem.targets[:, at] > 0, problem.classes[:, at]
        counts = [1 + occurs @ (rows * side).astype(np.float32) for side in (ours & known, ~ours & known)]
        held[:, at] = np.abs(np.log(counts[0] / counts[0].sum()) - np.log(counts[1] / counts[1].sum()))
    leash: Floats = (bayes * held / held.mean() + (1 - bayes)).astype(np.float32)
    return leash


def _minimise(
    problem: _Problem, leash: Floats, start: NDArray[np.float64], l2: float, max_iterations: int
) -> NDArray[np.float64]:
    classes = problem.targets.shape[1]
    transposed = problem.features.T.tocsr()

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        table = flat.reshape(-1, classes)
        weights = (table[:-1] * leash).astype(np.float32)
        logits = problem.features @ weights + table[-1].astype(np.float32)  # [N, C]
        logits = np.where(problem.classes, logits, -np.inf)
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(axis=1, keepdims=True)
        chosen = np.where(problem.targets > 0, logits, 0).sum(axis=1) - np.log(total[:, 0])
        slope = (odds / total - problem.targets) * problem.weights[:, None]  # [N, C]
        gradient = np.vstack([(transposed @ slope) * leash, slope.sum(axis=0)]).astype(np.float64)
        gradient[:-1] += l2 * table[:-1]
        value = -float(problem.weights @ chosen) + 0.5 * l2 * float((table[:-1] ** 2).sum())
        return value, gradient.ravel()

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": max_iterations, "maxcor": 8})
    solution: NDArray[np.float64] = found.x
    return solution
