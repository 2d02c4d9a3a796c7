"""Intervals."""

import numpy as np
import pytest

from training.bootstrap import alone, difference
from training.scores import UNANSWERED, score

ALL = np.array([True, True, True])
BINARY = np.array([True, False, True])


def noisy(truth: np.ndarray, right: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(truth)) < right, truth, (truth + 1) % 3)


def test_the_interval_of_an_accuracy_is_that_of_the_binomial() -> None:
    truth = np.zeros(1000, np.int64)
    decided = np.repeat([0, 2], [800, 200])
    found = alone(truth, decided, ALL, "accuracy", resamples=5000)
    error = np.sqrt(0.8 * 0.2 / 1000)
    assert found.value == pytest.approx(0.8)
    assert found.low == pytest.approx(0.8 - 1.96 * error, abs=0.003)
    assert found.high == pytest.approx(0.8 + 1.96 * error, abs=0.003)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "macro_recall"])
def test_the_value_is_the_difference_of_the_figures(metric: str) -> None:
    truth = np.random.default_rng(0).integers(0, 3, 300)
    ours, theirs = noisy(truth, 0.8, 1), noisy(truth, 0.7, 2)
    ours[:5] = UNANSWERED
    found = difference(truth, ours, theirs, ALL, metric)  # type: ignore[arg-type]
    wanted = score(truth, ours, ALL).of(metric) - score(truth, theirs, ALL).of(metric)  # type: ignore[arg-type]
    assert found.value == pytest.approx(wanted)
    assert found.low < found.value < found.high


def test_two_that_decide_alike_differ_by_nothing() -> None:
    truth = np.array([0, 2, 2, 0])
    found = difference(truth, np.array([0, 2, 0, 0]), np.array([0, 2, 0, 0]), BINARY, "macro_f1")
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_rows_are_paired() -> None:
    # One right answer more, everything else shared: unpaired, the interval would be as wide as the figures' own.
    truth = np.zeros(200, np.int64)
    theirs = np.repeat([0, 1], [100, 100])
    ours = np.repeat([0, 1], [110, 90])
    found = difference(truth, ours, theirs, ALL, "accuracy")
    assert 0.01 < found.low < 0.05 < found.high < 0.09
    assert alone(truth, ours, ALL, "accuracy").low < 0.5
