"""The forecast of what summaries will take."""

import weakref

import numpy as np
import pytest

from app.errors import WaitTooLong
from app.runtime.roster import Draft
from app.scheduling.crew import Stepped
from app.scheduling.forecast import Forecast
from app.scheduling.slots import Job, Row
from app.tasks.generate import Options, Summary, Token
from tests.scribe import Scribe

SCRIBE = Scribe()
TOKENS = 10


def row(max_tokens: int = 20, min_tokens: int = 0, beams: int = 1) -> Row:
    made = Job(SCRIBE, submitted=0, deadline=1e18)
    made.rows = [Row(made, 0, Draft(np.full(TOKENS, 5), "headline"), Options(max_tokens, min_tokens, beams))]
    return made.rows[0]


def stepped(forecast: Forecast, rows: int, seconds: float) -> None:
    forecast.stepped(Stepped(SCRIBE, rows, 1, 16 * rows, TOKENS * rows, started=1.0, ended=1.0 + seconds))


def learnt(threads: int = 2) -> Forecast:
    """Return one that has often seen 4 rows stepped in 40 ms, and a text of 10 tokens read in 50 ms."""
    forecast = Forecast(threads)
    for _ in range(8):
        stepped(forecast, 4, 0.04)
        forecast.read(row(), 0.05)
    return forecast


def test_of_what_was_never_seen_nothing_is_known() -> None:
    assert Forecast(2).cost_s(row()) == 0.0
    assert learnt().cost_s(row(beams=4)) == 0.0


def test_the_first_few_runs_alone_make_no_forecast() -> None:
    forecast = Forecast(2)
    for _ in range(7):
        stepped(forecast, 1, 60.0)
        forecast.read(row(), 60.0)
    assert forecast.cost_s(row()) == 0.0
    stepped(forecast, 1, 60.0)
    assert forecast.cost_s(row(20)) == pytest.approx(21 * 60.0)


def test_a_first_step_that_was_held_up_is_forgotten_at_the_next() -> None:
    held_up, never = Forecast(2), Forecast(2)
    stepped(held_up, 4, 4.0)
    for forecast in (held_up, never):
        for _ in range(8):
            stepped(forecast, 4, 0.04)
    assert held_up.cost_s(row()) == pytest.approx(never.cost_s(row()))


def test_a_summary_takes_its_steps_and_the_end_and_its_reading() -> None:
    assert learnt().cost_s(row(20)) == pytest.approx(21 * 0.01 + 0.05)


def test_how_much_of_their_room_summaries_use_is_learnt() -> None:
    forecast = learnt()
    half = Summary([Token(5, -0.1, 0.0, 0)] * 10, 0.0, "eos")
    forecast.ended(row(20), half)
    assert forecast.cost_s(row(40)) == pytest.approx(21 * 0.01 + 0.05)
    assert forecast.cost_s(row(40, min_tokens=30)) == pytest.approx(31 * 0.01 + 0.05)


def test_a_summary_that_was_broken_off_teaches_nothing() -> None:
    forecast = learnt()
    forecast.ended(row(20), Summary([], 0.0, "deadline"))
    assert forecast.cost_s(row(20)) == pytest.approx(21 * 0.01 + 0.05)


def test_a_step_that_was_held_up_counts_as_half_as_much_again_at_most() -> None:
    little, much = learnt(), learnt()
    stepped(little, 4, 0.06)
    stepped(much, 4, 40.0)
    assert much.cost_s(row()) == pytest.approx(little.cost_s(row()))
    assert little.cost_s(row()) > learnt().cost_s(row())


def test_a_text_that_was_much_quicker_read_counts_for_all_before_it() -> None:
    forecast = learnt()
    forecast.read(row(), 0.02)
    assert forecast.read_s(row()) == pytest.approx(0.02)


def test_where_steps_stay_slower_the_forecast_comes_after_them() -> None:
    forecast = learnt()
    for _ in range(100):
        stepped(forecast, 4, 0.4)
    assert forecast.cost_s(row(20)) == pytest.approx(21 * 0.1 + 0.05, rel=0.01)


def test_a_step_counts_by_its_rows() -> None:
    forecast = learnt()
    stepped(forecast, 1, 0.015)  # a row alone pays for the step by itself
    assert forecast.cost_s(row(20)) == pytest.approx(21 * 0.01 + 0.05, rel=0.02)


def test_who_would_hear_nothing_by_the_deadline_is_refused_with_the_time_to_come_back() -> None:
    forecast = learnt(threads=2)
    forecast.refuse_late(row(), 0.8, timeout_s=0.5)
    with pytest.raises(WaitTooLong, match="some 3050 ms; expected at most the 500 ms") as refused:
        forecast.refuse_late(row(), 6.0, timeout_s=0.5)
    assert refused.value.retry_after_s == 3


def test_where_nothing_waits_it_is_tried() -> None:
    learnt().refuse_late(row(), 0.0, timeout_s=0.001)


def test_what_was_learnt_of_a_writer_goes_with_it() -> None:
    forecast, writer = Forecast(2), Scribe()
    job = Job(writer, submitted=0, deadline=1e18)
    only = Row(job, 0, Draft(np.full(TOKENS, 5), "headline"), Options(20))
    forecast.stepped(Stepped(writer, 1, 1, 16, TOKENS, started=1.0, ended=1.01))
    forecast.read(only, 0.05)
    forecast.ended(only, Summary([], 0.0, "eos"))
    left = weakref.ref(writer)
    del writer, job, only
    assert left() is None
