"""A figure knows whether it is what it should be."""

from benchmarks.figure import Figure, table


def test_a_figure_is_held_to_a_least_or_to_a_most() -> None:
    assert Figure("a", 0.9, "x", 0.9).met
    assert not Figure("a", 0.89, "x", 0.9).met
    assert Figure("a", 250, "MB", 250, at_most=True).met
    assert not Figure("a", 251, "MB", 250, at_most=True).met


def test_what_was_not_measured_is_not_met() -> None:
    assert not Figure("a", None, "x", 0.0).met
    assert not Figure("a", None, "ms", 5, at_most=True).met


def test_the_table_says_what_is_missed_and_what_is_not_measured() -> None:
    lines = table(
        [Figure("a", 2.345, "x", 1.8), Figure("b", 1300, "MB", 250, at_most=True), Figure("c", None, "s", 1.5)]
    ).splitlines()
    assert lines[2:] == [
        "| a | 2.35 x | >= 1.8 x | met |",
        "| b | 1,300 MB | <= 250 MB | **missed** |",
        "| c | - | >= 1.5 s | not measured |",
    ]
