"""Rounds of an overload come to their medians, and no answer that should not have been is lost among them."""

from dataclasses import replace

from benchmarks.overload import Phase, judge, middle

CALM = Phase("80 %", 80.0, 10.0, 80.0, 800, 0, 0, 5.0, 50.0, 0.0, 0.0, 1.0, 8.0, 4.0)
BURST = Phase("300 %", 300.0, 10.0, 95.0, 950, 2050, 0, 40.0, 90.0, 1.0, 4.0, 1.0, 10.0, 3.0)


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
