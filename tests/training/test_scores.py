"""Figures."""

import numpy as np
import pytest

from training.scores import UNANSWERED, confusion, decide, score

ALL = np.array([True, True, True])
BINARY = np.array([True, False, True])


def test_a_binary_set_is_decided_between_its_own_classes() -> None:
    logits = np.array([[0.1, 9.0, 0.2], [0.3, 9.0, 0.2]], dtype=np.float32)
    assert decide(logits, BINARY).tolist() == [2, 0]
    assert decide(logits, ALL).tolist() == [1, 1]


def test_figures_agree_with_those_worked_out_by_hand() -> None:
    truth, decided = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0])
    found = score(truth, decided, ALL)
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.macro_recall == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_a_class_that_the_set_lacks_does_not_count() -> None:
    found = score(np.array([0, 2, 2]), np.array([0, 2, 0]), BINARY)
    assert found.macro_recall == pytest.approx((1 + 1 / 2) / 2)


def test_confusion_has_true_classes_in_rows() -> None:
    assert confusion(np.array([0, 0, 1]), np.array([1, 1, 0]), 2).tolist() == [[0, 2, 0], [1, 0, 0]]


def test_an_unanswered_row_is_wrong_and_no_decision_for_any_class() -> None:
    truth, decided = np.array([0, 0, 2, 2]), np.array([0, UNANSWERED, 2, 2])
    assert confusion(truth, decided, 3).tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 2, 0]]
    found = score(truth, decided, BINARY)
    assert found.accuracy == pytest.approx(3 / 4)
    assert found.macro_recall == pytest.approx((1 / 2 + 1) / 2)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1) / 2)


def test_a_decision_for_a_class_that_the_set_lacks_is_wrong() -> None:
    assert score(np.array([0, 2]), np.array([1, 2]), BINARY).accuracy == pytest.approx(1 / 2)
