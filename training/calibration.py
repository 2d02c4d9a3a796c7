"""Probabilities that mean what they say: temperature scaling (Guo et al. 2017), and how far off they are.

A set that lacks a class is silent on it, so everything here looks at the classes a set has and at no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

Floats = NDArray[np.float64]
BINS = 15
# Beyond these a temperature has nothing left to say: every probability is 1, or all are equal.
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class Judged:
    """Logits float32[rows, C] of one set, the true classes int64[rows], and the classes bool[C] that the set has."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: NDArray[np.bool_]

    def probabilities(self, temperature: float = 1.0) -> Floats:
        """Return float64[rows, C] over the set's own classes, zero for the others."""
        return np.exp(self._log_odds(temperature))  # [rows, C]

    def loss(self, temperature: float) -> float:
        """Return the mean negative log-likelihood of the true classes."""
        return float(-self._log_odds(temperature)[np.arange(len(self.labels)), self.labels].mean())

    def open(self) -> "Judged":
        """Return the same rows over all classes: what is served, where nobody knows which set a text is like."""
        return Judged(self.logits, self.labels, np.ones_like(self.classes))

    def _log_odds(self, temperature: float) -> Floats:
        logits = np.where(self.classes, self.logits.astype(np.float64) / temperature, -np.inf)  # [rows, C]
        shifted = logits - logits.max(axis=1, keepdims=True)  # [rows, C]
        log_odds: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # [rows, C]
        return log_odds


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of equal width over the confidence in the chosen class: rows, mean confidence and share right in each.

    An empty bin has a confidence and a share of zero.
    """

    rows: NDArray[np.int64]
    confidence: Floats
    right: Floats

    @property
    def error(self) -> float:
        """The expected calibration error: the mean gap of confidence and share right, bins weighed by their rows."""
        return float(np.abs(self.confidence - self.right) @ self.rows / self.rows.sum())


def reliability(judged: Judged, temperature: float = 1.0, bins: int = BINS) -> Reliability:
    """Sort the rows into `bins` by the probability of their most probable class."""
    probabilities = judged.probabilities(temperature)  # [rows, C]
    confidence = probabilities.max(axis=1)  # [rows]
    hits = (probabilities.argmax(axis=1) == judged.labels).astype(np.float64)  # [rows]
    # A bin holds its upper edge and not its lower one; no confidence is zero.
    at = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)  # [rows]
    rows = np.bincount(at, minlength=bins)
    full = np.maximum(rows, 1)
    return Reliability(
        rows=rows,
        confidence=np.bincount(at, weights=confidence, minlength=bins) / full,
        right=np.bincount(at, weights=hits, minlength=bins) / full,
    )


def ece(judged: Judged, temperature: float = 1.0) -> float:
    """Return the expected calibration error over 15 bins (Naeini et al. 2015)."""
    return reliability(judged, temperature).error


def fit_temperature(sets: Mapping[str, Judged]) -> float:
    """Return what to divide logits by for the least mean loss, a set of many rows counting as much as one of few.

    The loss is convex in 1 / temperature, so the one minimum is found; no decision changes.
    """

    def loss(log_temperature: float) -> float:
        return float(np.mean([one.loss(float(np.exp(log_temperature))) for one in sets.values()]))

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))
