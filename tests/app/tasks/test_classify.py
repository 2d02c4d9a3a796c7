"""Logits become labels and probabilities."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.tasks.classify import DIGITS, classified, classify, rounded, softmax, token_weights

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


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_one_row_gets_what_a_batch_of_rows_does(temperature: float) -> None:
    rows = np.random.default_rng(7).normal(scale=8, size=(50, 3)).astype(np.float32)
    rows[3] = rows[3, 0]  # a tie: the first wins
    for row, want in zip(rows, classify(rows, LABELS, temperature), strict=True):
        have = classified(row, LABELS, temperature)
        assert have.label == want.label
        assert have.scores == pytest.approx(want.scores, abs=1e-6)
        assert have.score == have.scores[have.label]


def test_one_row_of_another_length_than_the_labels_is_a_bug() -> None:
    with pytest.raises(ValueError, match="This is a bug"):
        classified(np.zeros(4, np.float32), LABELS)


LOGITS = st.floats(-60, 60, width=32)


@settings(max_examples=400)
@given(
    rows=st.lists(st.tuples(LOGITS, LOGITS, LOGITS), min_size=1, max_size=40),
    temperature=st.sampled_from([1.0, 0.5, 1.37, 3.0]),
)
@example(rows=[(0.0, 0.0, 0.0)] * 9, temperature=1.0)
@example(rows=[(0.0, -100.0, -100.0), (1.0, 1.0, -1000.0)] * 5, temperature=1.0)
def test_rows_together_get_each_rows_probabilities_rounded(
    rows: list[tuple[float, float, float]], temperature: float
) -> None:
    logits = [np.array(row, np.float32) for row in rows]
    for row, (label, scores) in zip(logits, rounded(logits, LABELS, temperature), strict=True):
        want = classified(row, LABELS, temperature)
        assert (label, list(scores)) == (want.label, LABELS)
        assert scores == {label: round(score, DIGITS) for label, score in want.scores.items()}


def test_what_is_in_the_middle_between_two_is_rounded_as_it_is_alone() -> None:
    two = ["no", "yes"]
    odds = np.log(np.arange(1, 20_000) * 1e-6 + 0.5e-6).astype(np.float32)  # as near the middle as float32 gets
    logits = [np.array([odd, 0.0], np.float32) for odd in odds]
    alone = [rounded([row], two)[0] for row in logits]
    assert rounded(logits, two) == alone


def test_rows_of_another_length_than_the_labels_are_a_bug() -> None:
    for rows in (1, 9):
        with pytest.raises(ValueError, match="This is a bug"):
            rounded([np.zeros(4, np.float32)] * rows, LABELS)
