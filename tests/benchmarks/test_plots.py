"""The plots are drawn from the JSON beside the page, small, and the same each time."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.plots import PLOTS, draw
from benchmarks.report import PERFORMANCE
from tests.server import ROOT

LARGEST_BYTES = 60_000


def load(kind: str, connections: int, items: int = 1, errors: int = 0) -> dict[str, Any]:
    figures = {"requests_s": 100.0 * connections, "p50_ms": 2.0, "p99_ms": 5.0, "cpu_s_per_1k": 0.5}
    return {"kind": kind, "connections": connections, "items": items, "errors": errors, **figures}


def rate(offered: float, *, sustained: bool) -> dict[str, Any]:
    found = {"goodput": offered, "p50_ms": 3.0, "p99_ms": 30.0, "refused": 7}
    return {"rate": offered, "seconds": 2, "sustained": sustained, **found}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a page beside whose JSON stand a few measurements of each curve."""
    refused = load("long", 77, errors=5000)
    sections = {
        "curves": {
            "seconds": 2,
            "connections": [load(kind, count) for kind in ("short", "long", "mixed") for count in (1, 8)] + [refused],
            "words": [{"words": words, **load("", 16)} for words in (4, 64, 1000)],
            "items": [load("short", 8, items) for items in (1, 32)],
            "rates": [rate(200.0, sustained=True), rate(900.0, sustained=False)],
        },
        "batches": {
            "lengths": [
                {"kind": kind, "tokens": 20, "us_a_row": {"1": 200.0, "16": 60.0}} for kind in ("short", "long")
            ]
        },
    }
    (tmp_path / "page.json").write_text(json.dumps(sections), "utf-8")
    return tmp_path / "page.md"


def words_of(file: Path) -> str:
    return " ".join(ET.parse(file).getroot().itertext())  # noqa: S314 - our own file


def test_every_plot_is_drawn_with_its_units_and_stays_small(page: Path) -> None:
    files = list(draw(page))
    assert [file.name for file in files] == list(PLOTS)
    assert all(file.stat().st_size < LARGEST_BYTES for file in files)
    throughput, cost, batching, open_loop = map(words_of, files)
    assert "requests/s" in throughput
    assert "latency, ms" in throughput
    assert "CPU ms a request" in cost
    assert "rows of a batch" in batching
    assert "ms from the intended start" in open_loop
    assert "sustained: 200/s" in open_loop


def test_a_point_of_which_much_was_refused_is_left_out(page: Path) -> None:
    labels = words_of(next(draw(page))).split()
    assert "8" in labels
    assert "77" not in labels


def test_the_same_figures_make_the_same_file(page: Path) -> None:
    once = [file.read_bytes() for file in draw(page)]
    assert [file.read_bytes() for file in draw(page)] == once


def test_without_its_figures_a_plot_is_not_drawn(tmp_path: Path) -> None:
    assert list(draw(tmp_path / "page.md")) == []


def test_the_page_shows_every_plot_that_there_is() -> None:
    text = (ROOT / PERFORMANCE).read_text("utf-8")
    assert all(f"]({PERFORMANCE.stem}/{name})" in text for name in PLOTS)
    drawn = (ROOT / PERFORMANCE).with_suffix("").glob("*")
    assert {file.name for file in drawn} <= PLOTS.keys()
