"""The pages say what their JSON says, of every run that was kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import (
    __main__ as own,
)
from benchmarks import (
    batches,
    decoding,
    decoding_page,
    figures,
    graphs,
    processes,
    profile,
    side_by_side,
    targets,
)
from benchmarks.report import DECODING, PERFORMANCE, README, Section, filled, kept
from tests.server import ROOT

TABLES: dict[str, tuple[Path, Callable[[Section], str]]] = {
    own.MARK: (PERFORMANCE, own.shown),
    figures.MARK: (PERFORMANCE, figures.shown),
    batches.MARK: (PERFORMANCE, batches.shown),
    graphs.MARK: (PERFORMANCE, graphs.shown),
    processes.MARK: (PERFORMANCE, processes.shown),
    profile.MARK: (PERFORMANCE, profile.shown),
    side_by_side.MARK: (PERFORMANCE, side_by_side.shown),
    decoding.MARK: (DECODING, decoding_page.shown),
}


@pytest.mark.parametrize("mark", TABLES)
def test_a_table_is_what_the_json_beside_its_page_says(mark: str) -> None:
    page, shown = TABLES[mark]
    text = (ROOT / page).read_text("utf-8")
    section = kept(ROOT / page).get(mark)
    assert filled(text, mark, shown(section) if section else "Not run yet.").count(f"<!-- {mark} -->") == 1
    if section:
        assert filled(text, mark, shown(section)) == text


def test_the_targets_are_what_the_runs_come_to() -> None:
    found = targets.figures(kept(ROOT / PERFORMANCE), kept(ROOT / DECODING))
    text = (ROOT / PERFORMANCE).read_text("utf-8")
    assert filled(text, targets.MARK, targets.shown(found)) == text


def test_the_readme_tells_of_the_same_side_by_side_run() -> None:
    text = (ROOT / README).read_text("utf-8")
    assert filled(text, side_by_side.MARK, side_by_side.brief(kept(ROOT / PERFORMANCE)[side_by_side.MARK])) == text
