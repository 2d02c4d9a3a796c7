"""The sustained rate is one that mostly holds; rounds come to their medians, and no answer is lost among them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from benchmarks.openloop import Call
from benchmarks.overload import Phase, highest, judge, middle, within_share

CALM = Phase("80 %", 80.0, 10.0, 80.0, 800, 0, 0, 5.0, 50.0, 0.0, 0.0, 1.0, 1.0, 8.0, 4.0)
BURST = Phase("300 %", 300.0, 10.0, 95.0, 950, 2050, 0, 40.0, 90.0, 1.0, 4.0, 0.99, 1.0, 10.0, 3.0)


def rounds(*bursts: Phase) -> list[list[Phase]]:
    return [[replace(CALM, name="sustained", goodput=100.0), CALM, burst, CALM] for burst in bursts]


def test_one_disturbed_round_of_three_changes_no_verdict() -> None:
    held_up = replace(BURST, goodput=40.0, p99_ms=900.0, refused_p99_ms=700.0)
    phases = middle(rounds(BURST, held_up, BURST))
    assert [each.name for each in phases] == ["sustained", "80 %", "300 %", "80 %"]
    assert phases[2] == BURST
    assert all(verdict.met for verdict in judge(phases, 0.5))


def test_an_answer_that_is_neither_good_nor_a_refusal_counts_in_whatever_round() -> None:
    phases = middle(rounds(BURST, replace(BURST, other=2), BURST))
    assert phases[2].other == 2
    assert [verdict.met for verdict in judge(phases, 0.5)] == [True, True, False, True]


def looks(*held: str) -> Callable[[float], bool]:
    """Return a look at a rate that tells what is written for it, rate by rate from above, look by look."""
    told: dict[float, Iterator[str]] = {}
    left = iter(held)

    def look(rate: float) -> bool:
        if rate not in told:
            told[rate] = iter(next(left))
        return next(told[rate]) == "y"

    return look


@pytest.mark.parametrize(
    ("held", "steps"),
    [(["yy"], 1), (["yny"], 1), (["nyy"], 1), (["nn", "yy"], 2), (["ynn", "nyn", "yny"], 3)],
)
def test_the_sustained_rate_holds_in_two_looks_of_three(held: list[str], steps: int) -> None:
    upwards = iter([True, True, False])
    assert highest(lambda _: next(upwards), looks(*held)) == pytest.approx(200 * 1.6**2 * 0.9**steps)


def test_where_no_rate_holds_that_is_said() -> None:
    with pytest.raises(SystemExit, match="no rate was sustained"):
        highest(lambda _: False, lambda _: False)


def test_what_comes_in_time_is_counted_from_the_intended_start() -> None:
    calls = [Call(0, intended=1.0, sent=1.004, done=1.0 + took, status=429) for took in (0.004, 0.0045, 0.006, 0.2)]
    assert within_share(0.005, calls) == 0.5
    assert within_share(0.005, []) == 1.0
