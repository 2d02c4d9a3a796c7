"""Summaries are judged by ROUGE and held against a baseline on the same rows."""

import pytest

from training.judged import judge, told
from training.pairs import Pairs

PAIRS = Pairs(["a cat sat", "a dog ran", "it rained"], [("a cat",), ("a dog",), ("it rained",)])


def test_figures_are_means_over_rows() -> None:
    found = judge(["a cat", "a cow", "it rained"], PAIRS, "en")

    assert found.figures()["rouge1"] == pytest.approx((1 + 0.5 + 1) / 3, abs=1e-6)
    assert found.figures()["novel_1"] == pytest.approx(1 / 6, abs=1e-6)


def test_a_lead_lies_within_its_interval_and_none_over_itself() -> None:
    ours, theirs = (judge([said] * 3, PAIRS, "en") for said in ("a cat", "nothing"))

    lead = ours.lead(theirs.rows)["rouge1"]
    assert lead.value == pytest.approx(2 / 4 + 0.0, abs=0.01)
    assert lead.low <= lead.value <= lead.high
    assert told(ours.lead(ours.rows))["rouge2"] == {"value": 0.0, "low": 0.0, "high": 0.0}
