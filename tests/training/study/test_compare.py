"""A comparison from its file to its pages."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.conftest import DATA
from tests.training.study.conftest import COMPARE
from training.cli import app
from training.study import results, tables
from training.study.results import Results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished comparison."""
    root = tmp_path_factory.mktemp("compared")
    ended = CliRunner().invoke(app, ["compare", str(COMPARE), *options(root), "--processes", "1"])
    assert ended.exit_code == 0, ended.output
    return root


def options(root: Path) -> list[str]:
    return ["--data-root", str(DATA), "--runs", str(root / "runs"), "--pages", str(root / "docs")]


@pytest.fixture
def found(folder: Path) -> Results:
    return results.read(folder / "docs" / "ablation" / "results.json")


def test_every_run_has_its_figure_and_cost(found: Results) -> None:
    runs = [run for one in found.techniques for side in one.runs["tiny"].values() for run in side]
    assert [run.seed for run in runs] == [1, 2] * 6
    assert not any(run.failed for run in runs)
    assert all(run.score is not None and 0 < run.score <= 1 for run in runs)
    assert all(run.seconds_per_epoch and run.cpu_seconds and run.parameters for run in runs)


def test_variants_that_come_to_the_same_settings_are_one_run(found: Results) -> None:
    assert found.techniques[0].runs["tiny"]["off"] == found.cells[0].runs["tiny"]


def test_epochs_are_those_asked_for(found: Results) -> None:
    sides = found.techniques[0].runs["tiny"]
    assert {side: {run.epochs for run in runs} for side, runs in sides.items()} == {"off": {2}, "on": {3}}


def test_the_n_grams_count_only_where_they_are_asked_for(found: Results) -> None:
    sides = found.techniques[1].runs["tiny"]
    better = zip(sides["off"], sides["on"], strict=True)
    assert all(on.score > off.score for off, on in better if on.score and off.score)


def test_the_cells_graphs_are_timed_in_both_precisions(found: Results) -> None:
    speed = found.cells[0].speed
    assert speed is not None
    assert (speed.fp32_node, speed.int8_node, speed.int8_kernel) == ("LSTM", "DynamicQuantizeLSTM", True)
    assert [(one.rows, one.tokens, one.precision) for one in speed.timings] == [
        (1, 3, "fp32"),
        (1, 3, "int8"),
        (2, 5, "fp32"),
        (2, 5, "int8"),
    ]
    assert all(one.ms > 0 for one in speed.timings)


def test_the_pages_are_those_that_the_results_render(folder: Path, found: Results) -> None:
    assert (folder / "docs" / "ablation.md").read_text("utf-8") == tables.ablation_page(found)
    assert (folder / "docs" / "cells-compared.md").read_text("utf-8") == tables.cells_page(found)
    for picture in ("tiny", "cells"):
        assert (folder / "docs" / "ablation" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_finds_nothing_left_to_do(folder: Path, found: Results) -> None:
    ended = CliRunner().invoke(app, ["compare", str(COMPARE), *options(folder)])
    assert "12 runs, 12 of them done before" in ended.stderr
    again = results.read(folder / "docs" / "ablation" / "results.json")
    assert again.techniques == found.techniques


def test_a_run_leaves_no_folder_behind(folder: Path) -> None:
    assert not list((folder / "runs" / "tiny-comparison").glob("run-*"))
