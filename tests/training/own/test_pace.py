"""A run fitted into a time."""

import pytest

from training.config import RunConfig
from training.own import pace


@pytest.fixture
def _ten_rows_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "rows_per_second", lambda _: 10.0)


@pytest.mark.usefixtures("_ten_rows_a_second")
@pytest.mark.parametrize(
    ("minutes", "epochs", "rows"),
    [(1000, 30, 360), (12, 20, 360), (1.8, 3, 360), (1.7, 3, 340), (0.0001, 3, 320)],
    ids=["time enough", "fewer epochs", "the least epochs", "fewer rows", "next to none"],
)
def test_a_run_gets_fewer_epochs_then_fewer_rows(tiny: RunConfig, minutes: float, epochs: int, rows: int) -> None:
    run = pace.within(tiny, minutes, lambda _: None)
    assert (run.loop.epochs, run.sets[0].train[0].rows_per_epoch) == (epochs, rows)


def test_the_pace_of_this_machine_is_measured(tiny: RunConfig) -> None:
    assert pace.rows_per_second(tiny) > 0
