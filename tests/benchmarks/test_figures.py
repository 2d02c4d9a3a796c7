"""A figure knows whether it is what it should be."""

from benchmarks.figures import MARK, Figure, table
from benchmarks.report import PERFORMANCE
from tests.server import ROOT


def test_a_figure_is_held_to_a_least_or_to_a_most() -> None:
    assert Figure("a", 0.9, "x", 0.9).met
    assert not Figure("a", 0.89, "x", 0.9).met
    assert Figure("a", 250, "MB", 250, at_most=True).met
    assert not Figure("a", 251, "MB", 250, at_most=True).met


def test_the_table_says_what_is_missed() -> None:
    lines = table([Figure("a", 2.345, "x", 1.8), Figure("b", 300, "MB", 250, at_most=True)]).splitlines()
    assert lines[2:] == ["| a | 2.35 x | >= 1.8 x | met |", "| b | 300 MB | <= 250 MB | **missed** |"]


def test_the_page_has_one_place_for_the_figures() -> None:
    page = (ROOT / PERFORMANCE).read_text("utf-8")
    for mark in (MARK, "side-by-side"):
        assert page.count(f"<!-- {mark} -->") == page.count(f"<!-- /{mark} -->") == 1
