"""Classification: logits in, labels and probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

DIGITS = 6
"""Of a probability in an answer."""
_MANY = 8
"""From so many rows on numpy is faster than plain floats."""
_ALMOST_HALF = 0.5 - 1e-6


@dataclass(slots=True)
class Classified:
    """One text's answer: the best label, its probability, and every label's."""

    label: str
    score: float
    scores: dict[str, float]


Told = tuple[str, dict[str, float]]
"""The same as answers give it: the best label, and every label's rounded probability."""


def softmax(logits: Floats) -> Floats:
    """Return probabilities float32[B, C] of ``logits`` float32[B, C]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))  # [B, C]
    probabilities: Floats = shifted / shifted.sum(axis=-1, keepdims=True)  # [B, C]
    return probabilities


def classify(logits: Floats, labels: list[str], temperature: float = 1.0) -> list[Classified]:
    """Return one answer a row of ``logits`` float32[B, C], in order; ``labels`` names the C columns.

    Dividing the logits by a ``temperature`` makes probabilities honest and leaves the labels alone (Guo et al. 2017).
    """
    if logits.ndim != 2 or logits.shape[1] != len(labels):  # noqa: PLR2004 - rows and columns
        raise ValueError(f"This is a bug: logits of shape {logits.shape} for {len(labels)} labels")
    rows = softmax(logits / np.float32(temperature)).tolist()
    best = logits.argmax(axis=1).tolist()
    return [
        Classified(labels[at], row[at], dict(zip(labels, row, strict=True))) for at, row in zip(best, rows, strict=True)
    ]


def classified(logits: Floats, labels: list[str], temperature: float = 1.0) -> Classified:
    """Return what ``classify`` does for one row, float32[C]: on so few numbers plain floats are ten times as fast."""
    best, scores = _scores(logits, labels, temperature)
    return Classified(labels[best], scores[best], dict(zip(labels, scores, strict=True)))


def rounded(rows: Sequence[Floats], labels: list[str], temperature: float = 1.0) -> list[Told]:
    """Return what ``classified`` does for each row, float32[C], with every probability rounded to ``DIGITS``."""
    found = _rounded_at_once(rows, labels, temperature) if len(rows) >= _MANY else None
    if found is None:
        each = [_scores(row, labels, temperature) for row in rows]
        found = [(best, [round(score, DIGITS) for score in scores]) for best, scores in each]
    return [(labels[best], dict(zip(labels, scores, strict=True))) for best, scores in found]


def _scores(logits: Floats, labels: list[str], temperature: float) -> tuple[int, list[float]]:
    """Return the column of the best label, and every label's probability."""
    if logits.shape != (len(labels),):
        raise ValueError(f"This is a bug: logits of shape {logits.shape} for {len(labels)} labels")
    row = logits.tolist()
    top = max(row)
    shares = [exp((logit - top) / temperature) for logit in row]
    whole = sum(shares)
    return row.index(top), [share / whole for share in shares]


def _rounded_at_once(
    rows: Sequence[Floats], labels: list[str], temperature: float
) -> list[tuple[int, list[float]]] | None:
    """Return the best column and the rounded probabilities of each row.

    ``None`` where a probability is so near the middle between two that numpy's last digit might decide otherwise.
    """
    logits = np.concatenate(rows).reshape(len(rows), -1)  # [B, C]
    if logits.shape[1] != len(labels):
        raise ValueError(f"This is a bug: logits of shape {logits.shape} for {len(labels)} labels")
    shares = logits.T.astype(np.float64, order="C")  # [C, B], in which sums over labels are of whole rows
    shares = np.exp((shares - np.maximum.reduce(shares)) / temperature)
    shares *= 10**DIGITS / np.add.reduce(shares)
    whole = np.rint(shares)  # [C, B]
    if not np.abs(shares - whole).max() < _ALMOST_HALF:
        return None
    return list(zip(logits.argmax(axis=1).tolist(), (whole / 10**DIGITS).T.tolist(), strict=True))


def token_weights(attribution: Floats, column: int) -> list[float]:
    """Return how much each token speaks for label ``column`` against the others, float[T].

    ``attribution`` float32[T, C] holds each token's additive share of each logit; the weight is the share of this
    label less the mean share of the others, so that a token which raises all labels alike weighs nothing. Shares are of
    the graph's own logits, before the temperature: there they add up exactly, and it would change no token's order.
    """
    others = np.delete(attribution, column, axis=1).mean(axis=1)  # [T]
    weights: list[float] = (attribution[:, column] - others).tolist()
    return weights
