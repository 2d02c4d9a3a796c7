"""Figures of a classifier, from its confusion matrix; binary sets are scored on the classes they have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import Metric

# Stands for the class of a row that got no answer; such a row is wrong whatever its label.
UNANSWERED = -1


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares between 0 and 1: of rows that are right, and means over classes of F1 and of recall."""

    accuracy: float
    macro_f1: float
    macro_recall: float

    def of(self, metric: Metric) -> float:
        """Return the figure a set is judged by."""
        return float(getattr(self, metric))


def decide(logits: NDArray[np.float32], classes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the class int64[B] of the highest logit float32[B, C] among the classes bool[C] that the set has."""
    best: NDArray[np.int64] = np.where(classes, logits, -np.inf).argmax(axis=1)
    return best


def confusion(labels: NDArray[np.int64], decided: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return counts int64[C, C + 1], true class by decided class; the last column counts the unanswered rows."""
    columns = classes + 1
    counts = np.bincount(labels * columns + decided % columns, minlength=classes * columns)
    return counts.reshape(classes, columns)


def score(labels: NDArray[np.int64], decided: NDArray[np.int64], classes: NDArray[np.bool_]) -> Scores:
    """Return the figures over the classes bool[C] that the set has; a class never decided has an F1 of zero."""
    counts = confusion(labels, within(decided, classes), len(classes))[np.ix_(classes, np.append(classes, True))]
    return Scores(*(float(of_counts(counts[None], metric)[0]) for metric in ("accuracy", "macro_f1", "macro_recall")))


def within(decided: NDArray[np.int64], classes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the decisions int64[rows] with any for a class that the set lacks as unanswered: wrong either way."""
    return np.where(np.append(classes, False)[decided], decided, UNANSWERED)


def of_counts(counts: NDArray[np.int64], metric: Metric) -> NDArray[np.float64]:
    """Return a figure float64[N] of each table int64[N, C, C + 1], true class by decided class and unanswered."""
    hits = np.diagonal(counts, axis1=1, axis2=2).astype(np.float64)  # [N, C]
    true, said = counts.sum(axis=2), counts[:, :, :-1].sum(axis=1)  # [N, C], [N, C]
    if metric == "accuracy":
        found: NDArray[np.float64] = hits.sum(axis=1) / true.sum(axis=1)
    elif metric == "macro_f1":
        found = (2 * hits / np.maximum(true + said, 1)).mean(axis=1)
    else:
        found = (hits / np.maximum(true, 1)).mean(axis=1)
    return found
