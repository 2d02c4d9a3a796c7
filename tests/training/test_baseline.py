"""The baseline."""

from tests.training.conftest import DATA
from training.baseline import STRENGTHS, baseline
from training.config import RunConfig


def test_the_baseline_learns_the_tiny_set(tiny: RunConfig) -> None:
    found = baseline(DATA, tiny.sets[0], "test", tiny.labels)
    assert found.scores.accuracy == 1.0
    assert found.rows == 90
    assert found.trained_on == ["train"]
    assert found.c in STRENGTHS
