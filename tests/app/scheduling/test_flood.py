"""What is a flood: more than are answered, and than can be done, for as long as no crowd takes to come."""

import pytest

from app.scheduling.flood import Flood

COST_S = 0.001
"""What a request takes: a thousand a second are what can be done."""


def come(flood: Flood, rate: float, answered: float, seconds: float, start: float = 1.0) -> float:
    """Have so many come and be answered a second; return when that ended."""
    came = done = 0.0
    now = start
    for _ in range(round(seconds * 1000)):
        now += 0.001
        came, done = came + rate / 1000, done + answered / 1000
        if came >= 1:
            flood.joined(int(came), int(came) * COST_S, now)
        if done >= 1:
            flood.answered(int(done), now)
        came, done = came % 1, done % 1
    return now


@pytest.mark.parametrize("before", [0, 300, 800])
@pytest.mark.parametrize(("rate", "within_s"), [(1500, 0.14), (3000, 0.14), (5000, 0.13)])
def test_more_than_can_be_done_is_one_after_an_eighth_of_a_second(before: int, rate: int, within_s: float) -> None:
    flood = Flood()
    now = come(flood, before, before, 0.5)
    assert not flood.is_on
    come(flood, rate, 1000, within_s, now)
    assert flood.is_on


@pytest.mark.parametrize("callers", [64, 256, 1024])
@pytest.mark.parametrize("within_s", [0.0, 0.03, 0.07])
def test_a_crowd_that_comes_within_three_spans_is_none_then_or_later(callers: int, within_s: float) -> None:
    flood = Flood()
    now = come(flood, 100, 100, 0.5)
    for at in range(callers):
        flood.joined(1, COST_S, now + within_s * at / callers)
        assert not flood.is_on
    now += within_s
    for _ in range(100):
        now = come(flood, 1000, 1000, 0.01, now)
        assert not flood.is_on


def test_a_crowd_is_known_by_when_it_came_though_it_was_read_late() -> None:
    flood = Flood()
    now = come(flood, 100, 100, 0.5)
    for at in range(256):  # a millisecond each
        flood.joined(1, COST_S, now + at * 0.001, at * 0.001)
        assert not flood.is_on


def test_what_a_late_loop_reads_at_once_came_one_after_the_other() -> None:
    flood = Flood()
    now = come(flood, 500, 500, 0.5)
    for _ in range(3):
        now = come(flood, 0, 1000, 0.06, now)
        flood.joined(180, 180 * COST_S, now, 0.06)
    assert flood.is_on


def test_a_lag_that_comes_and_goes_loses_nobody() -> None:
    flood = Flood()
    now = come(flood, 500, 500, 0.5)
    for turn in range(40):
        now = come(flood, 0, 1000, 0.005, now)
        flood.joined(15, 15 * COST_S, now, 0.01 * (turn % 2))
    assert flood.is_on


def test_while_few_come_and_none_is_answered_it_is_a_long_document() -> None:
    flood = Flood()
    now = come(flood, 500, 500, 0.5)
    come(flood, 500, 0, 0.5, now)
    assert not flood.is_on


def test_where_as_many_are_answered_the_forecast_of_their_work_is_too_high() -> None:
    flood = Flood()
    now = come(flood, 500, 500, 0.5)
    come(flood, 3000, 3000, 0.5, now)
    assert not flood.is_on


def test_one_long_text_does_not_make_many_short_ones_look_like_more_than_can_be_done() -> None:
    flood = Flood()
    now = come(flood, 700, 700, 0.5)
    flood.joined(1, 0.1, now)
    come(flood, 700, 0, 0.13, now)
    assert not flood.is_on


def test_it_ends_when_it_ends() -> None:
    flood = Flood()
    now = come(flood, 3000, 1000, 0.5)
    assert flood.is_on
    now = come(flood, 1000, 1000, 0.05, now)
    assert not flood.is_on
    flood.joined(1000, 1000 * COST_S, now + 10.0)
    assert not flood.is_on


@pytest.mark.parametrize("lag_s", [0.5, 0.6, 5.0])
def test_who_is_read_long_after_coming_is_in_none(lag_s: float) -> None:
    flood = Flood()
    now = come(flood, 3000, 1000, 0.2)
    flood.answered(1, now + lag_s)
    flood.joined(100, 100 * COST_S, now + lag_s, lag_s - 0.01)
    assert not flood.is_on
