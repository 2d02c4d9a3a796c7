"""Figures of a classifier, from its confusion matrix; binary sets are scored on the classes they have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import Metric


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
    """Return counts int64[C, C], true class by decided class."""
    counts = np.bincount(labels * classes + decided, minlength=classes * classes)
    return counts.reshape(classes, classes)


def score(labels: NDArray[np.int64], decided: NDArray[np.int64], classes: NDArray[np.bool_]) -> Scores:
    """Return the figures over the classes bool[C] that the set has; a class never decided has an F1 of zero."""
    counts = confusion(labels, decided, len(classes))[np.ix_(classes, classes)].astype(np.float64)
    hits, true, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    f1 = 2 * hits / np.maximum(true + said, 1)
    recall = hits / np.maximum(true, 1)
    return Scores(float(hits.sum() / counts.sum()), float(f1.mean()), float(recall.mean()))
