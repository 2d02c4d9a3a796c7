"""Logits become labels and probabilities."""

import numpy as np
import pytest

from app.tasks.classify import classify, softmax, token_weights

LABELS = ["negative", "neutral", "positive"]


def test_the_label_is_the_largest_logit() -> None:
    first, second = classify(np.array([[1, 2, 3], [9, 0, 1]], np.float32), LABELS)
    assert (first.label, second.label) == ("positive", "negative")
    assert first.score == first.scores["positive"] == max(first.scores.values())
    assert sum(first.scores.values()) == pytest.approx(1)


def test_a_temperature_flattens_the_probabilities_and_keeps_the_label() -> None:
    logits = np.array([[0, 1, 3]], np.float32)
    (plain,), (soft,) = classify(logits, LABELS), classify(logits, LABELS, temperature=2.0)
    assert soft.label == plain.label == "positive"
    assert list(soft.scores.values()) == pytest.approx(softmax(np.array([0, 0.5, 1.5], np.float32)).tolist())
    assert soft.score < plain.score


def test_huge_logits_do_not_overflow() -> None:
    assert np.isfinite(softmax(np.array([[1e4, -1e4, 0]], np.float32))).all()


def test_logits_of_another_width_are_a_bug() -> None:
    with pytest.raises(ValueError, match="This is a bug"):
        classify(np.zeros((2, 4), np.float32), LABELS)


def test_a_token_that_raises_every_label_alike_weighs_nothing() -> None:
    attribution = np.array([[1, 1, 1], [0, 0, 3], [2, 0, 0]], np.float32)
    assert token_weights(attribution, 2) == pytest.approx([0, 3, -1])
