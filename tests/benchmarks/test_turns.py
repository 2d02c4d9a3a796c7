"""A machine that changes its speed changes no share."""

from collections.abc import Iterator

import pytest

from benchmarks.turns import Turn, Work, between, shares


def of(speeds: Iterator[float], does: float) -> Work:
    return lambda: Turn(does * next(speeds), 3 * does)


def test_a_machine_that_gets_slower_turn_by_turn_changes_no_share() -> None:
    speeds = (1000.0 - 10 * turn for turn in range(100))
    half, most = shares(of(speeds, 1.0), of(speeds, 0.5), of(speeds, 0.75), rounds=3)
    assert half == pytest.approx((0.5, 0.5))
    assert most == pytest.approx((0.75, 0.75))
    assert next(speeds) == 1000.0 - 10 * (1 + 3 * 4)  # one turn of the measure first, and one after each other turn


def test_one_disturbed_round_of_three_changes_nothing() -> None:
    speeds = iter([100.0, 100.0, 100.0, 10.0, 100.0, 100.0, 100.0])
    (share,) = shares(of(speeds, 1.0), of(speeds, 0.9), rounds=3)
    assert share == pytest.approx((0.9, 0.9))


def test_each_stands_between_two_turns_of_the_measure() -> None:
    turns = iter(range(100))
    first, second = between(lambda: next(turns), lambda: -next(turns), lambda: 1000 + next(turns), rounds=2)
    assert first == [(-1, 0, 2), (-5, 4, 6)]
    assert second == [(1003, 2, 4), (1007, 6, 8)]
