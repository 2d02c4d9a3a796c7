"""Figures go between their marks, and nowhere else."""

import os
from pathlib import Path

import pytest

from benchmarks.report import RELIABILITY, fill, filled, kept, publish, run_of
from tests.server import ROOT


def test_a_figure_in_a_line_is_replaced_and_its_line_stays_one() -> None:
    page = "| soak | <!-- soak -->old<!-- /soak --> | <!-- swaps -->kept<!-- /swaps --> |\n"
    assert filled(page, "soak", "30 minutes,\nflat\n") == page.replace("old", "30 minutes, flat")


def test_a_table_keeps_the_lines_of_its_marks() -> None:
    page = "above\n<!-- soak-table -->\n| old |\n<!-- /soak-table -->\nbelow\n"
    once = filled(page, "soak-table", "| a |\n|---|\n| 1 |\n")
    assert once == page.replace("| old |", "| a |\n|---|\n| 1 |")
    assert filled(once, "soak-table", "| old |") == page


def test_a_figure_that_has_a_backslash_or_a_group_stays_as_it_is() -> None:
    assert filled("<!-- a --><!-- /a -->", "a", r"\1 \g<0>") == r"<!-- a -->\1 \g<0><!-- /a -->"


@pytest.mark.parametrize("page", ["", "<!-- a -->", "<!-- a -->x<!-- /a --><!-- a -->y<!-- /a -->"])
def test_a_page_without_the_pair_or_with_two_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="expected one of each"):
        filled(page, "a", "1")


def test_a_page_on_disk_is_filled(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("五 <!-- a -->5<!-- /a -->\n", "utf-8")
    fill(page, "a", "六")
    assert page.read_text("utf-8") == "五 <!-- a -->六<!-- /a -->\n"


def test_a_run_is_kept_as_json_with_its_machine_and_shown_in_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- a -->\n<!-- /a -->\n<!-- b -->\n<!-- /b -->\n", "utf-8")
    for name, rate in (("a", 1), ("b", 2), ("a", 3)):
        publish(page, name, {"rate": rate}, lambda section: f"{run_of(section)}: {section['rate']}/s")
    sections = kept(page)
    assert {name: section["rate"] for name, section in sections.items()} == {"a": 3, "b": 2}
    assert sections["a"]["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert sections["a"]["machine"]["versions"]["onnxruntime"]
    assert f": 3/s\n<!-- /a -->\n<!-- b -->\nRun of {sections['b']['measured_at'][:10]}" in page.read_text("utf-8")


def test_every_figure_of_the_reliability_page_has_one_pair_of_marks() -> None:
    page = (ROOT / RELIABILITY).read_text("utf-8")
    for claim in ("swaps", "overload", "recovery", "faults", "bad-inputs", "soak", "start", "balance"):
        assert filled(page, claim, "1") != page, claim
