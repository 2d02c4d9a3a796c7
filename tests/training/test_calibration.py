"""Calibration."""

import numpy as np
import pytest

from training.calibration import Judged, ece, fit_temperature, reliability

ALL = np.array([True, True, True])
BINARY = np.array([True, False, True])


def judged(probabilities: list[list[float]], labels: list[int], classes: np.ndarray = ALL) -> Judged:
    return Judged(np.log(np.array(probabilities)).astype(np.float32), np.array(labels), classes)


def test_the_error_agrees_with_one_worked_out_by_hand() -> None:
    # Confidences 0.9 and 0.88 share a bin, with one of two right; 0.5 has its own and is right.
    found = judged([[0.9, 0.05, 0.05], [0.06, 0.88, 0.06], [0.5, 0.3, 0.2]], [0, 0, 0])
    assert ece(found) == pytest.approx((2 * abs(0.89 - 0.5) + abs(0.5 - 1)) / 3)


def test_a_bin_holds_its_upper_edge() -> None:
    found = reliability(judged([[0.4, 0.2, 0.4], [0.5, 0.1, 0.4]], [0, 0], BINARY), bins=2)
    assert found.rows.tolist() == [1, 1]
    assert found.confidence.tolist() == pytest.approx([1 / 2, 5 / 9])


def test_a_class_that_the_set_lacks_takes_no_probability() -> None:
    found = judged([[0.2, 0.6, 0.2], [0.3, 0.6, 0.1]], [0, 0], BINARY)
    np.testing.assert_allclose(found.probabilities(), [[0.5, 0, 0.5], [0.75, 0, 0.25]], atol=1e-6)
    np.testing.assert_allclose(found.open().probabilities()[0], [0.2, 0.6, 0.2], atol=1e-6)


def drawn(rows: int, temperature: float, classes: np.ndarray, seed: int) -> Judged:
    """Return logits that are `temperature` times too large for the labels drawn from them."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (rows, len(classes)))
    probabilities = Judged(honest.astype(np.float32), np.zeros(rows, np.int64), classes).probabilities()
    labels = np.array([rng.choice(len(classes), p=row) for row in probabilities])
    return Judged((temperature * honest).astype(np.float32), labels, classes)


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_the_temperature_that_was_put_in_is_found_and_mends_the_error(temperature: float) -> None:
    sets = {"three": drawn(4000, temperature, ALL, 1), "two": drawn(4000, temperature, BINARY, 2)}
    found = fit_temperature(sets)
    assert found == pytest.approx(temperature, rel=0.05)
    for one in sets.values():
        assert ece(one, found) < 0.03 < ece(one)


def test_a_set_counts_the_same_however_many_rows_it_has() -> None:
    many, few = drawn(6000, 3.0, ALL, 3), drawn(600, 1.0, ALL, 4)
    repeated = Judged(np.tile(many.logits, (3, 1)), np.tile(many.labels, 3), many.classes)
    assert fit_temperature({"a": repeated, "b": few}) == pytest.approx(fit_temperature({"a": many, "b": few}), rel=1e-3)


def test_no_temperature_moves_a_decision() -> None:
    found = drawn(50, 1.0, BINARY, 5)
    assert (found.probabilities(0.3).argmax(axis=1) == found.probabilities(9.0).argmax(axis=1)).all()
