"""A search from its file to its page: trials, pruning, resuming."""

import time
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from typer.testing import CliRunner

from tests.training.conftest import DATA
from tests.training.study.test_space import SEARCH
from training.cli import app
from training.loop import DEV_SCORE
from training.study import search, space
from training.study.material import Material, lay_out
from training.study.search_page import SearchResults, fragment, page, read
from training.study.space import Search


@pytest.fixture(scope="module")
def plan() -> Search:
    return space.load(SEARCH)


@pytest.fixture
def material(plan: Search, tmp_path: Path) -> Material:
    return lay_out([plan.set], [], DATA, tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a search of four trials."""
    root = tmp_path_factory.mktemp("searched")
    ended = CliRunner().invoke(app, ["search", str(SEARCH), *options(root), "--processes", "1", "--trials", "4"])
    assert ended.exit_code == 0, ended.output
    return root


def options(root: Path) -> list[str]:
    return ["--data-root", str(DATA), "--runs", str(root / "runs"), "--pages", str(root / "docs")]


@pytest.fixture
def found(folder: Path) -> SearchResults:
    return read(folder / "docs" / "search" / "results.json")


def test_every_trial_has_its_settings_and_its_scores_by_epoch(found: SearchResults) -> None:
    assert [one.number for one in found.trials] == [0, 1, 2, 3]
    assert all(one.settings.keys() == found.plan.space.keys() for one in found.trials)
    assert all(one.state in {"complete", "pruned"} for one in found.trials)
    whole = [one for one in found.trials if one.state == "complete"]
    assert all(len(one.by_epoch) == one.settings["loop.epochs"] for one in whole)
    assert all(one.score is not None and 0 < one.score <= 1 for one in whole)


def test_the_best_is_tried_again_beside_the_base_with_other_seeds(found: SearchResults) -> None:
    assert {side: [run.seed for run in runs] for side, runs in found.confirmed.items()} == {
        "base": [2, 3],
        "best": [2, 3],
    }
    assert not any(run.failed for runs in found.confirmed.values() for run in runs)


def test_the_best_settings_are_toml_that_a_run_takes(found: SearchResults, plan: Search) -> None:
    table = tomllib.loads(fragment(found))
    assert {f"{part}.{key}": value for part, keys in table.items() for key, value in keys.items()} == found.best
    assert plan.config(1, dict(found.best)).model.cell == found.best["model.cell"]


def test_the_page_is_the_one_that_the_results_render(folder: Path, found: SearchResults) -> None:
    assert (folder / "docs" / "search.md").read_text("utf-8") == page(found)
    for picture in ("history", "importances"):
        assert (folder / "docs" / "search" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_goes_on_where_the_search_stands(folder: Path) -> None:
    ended = CliRunner().invoke(app, ["search", str(SEARCH), *options(folder), "--trials", "4"])
    assert ended.exit_code == 0, ended.output
    assert "search: 4 trials of 4 were there before" in ended.stderr
    assert "study: 4 runs, 4 of them done before" in ended.stderr


def test_a_trial_that_a_kill_cut_off_is_put_in_line_again(plan: Search, material: Material) -> None:
    study = search.open_study(plan, material)
    cut_off = study.ask()
    settings = {key: dimension.suggest(cut_off, key) for key, dimension in plan.space.items()}
    search.begin(search.open_study(plan, material), plan)
    first, second = study.get_trials()
    assert first.state == TrialState.FAIL
    assert second.state == TrialState.WAITING
    assert second.system_attrs["fixed_params"] == settings


def test_other_settings_are_another_study_in_the_same_file(plan: Search, material: Material) -> None:
    other = plan.model_copy(update={"seed": 9})
    assert search.open_study(plan, material).study_name != search.open_study(other, material).study_name


def test_workers_do_not_propose_the_same(plan: Search, material: Material) -> None:
    studies = [search.open_study(plan, material, worker) for worker in (0, 1)]
    rates = [study.ask().suggest_float("x", 0.0, 1.0) for study in studies]
    assert rates[0] != rates[1]


def test_a_trial_below_the_median_is_given_up() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(1, 0))
    good = study.ask()
    report(good, [0.8, 0.9])
    study.tell(good, 0.9)
    report(study.ask(), [0.85])
    with pytest.raises(optuna.TrialPruned):
        report(study.ask(), [0.4])


def report(trial: optuna.Trial, by_epoch: list[float]) -> None:
    for epoch, value in enumerate(by_epoch):
        trainer: Any = SimpleNamespace(callback_metrics={DEV_SCORE: value}, current_epoch=epoch)
        search.Watch(trial).on_validation_end(trainer, SimpleNamespace())  # type: ignore[arg-type]


def test_without_a_whole_trial_there_is_nothing_to_write(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["search", str(SEARCH), *options(tmp_path), "--minutes", "0"])
    assert ended.exit_code == 1
    assert "no trial was ended with a figure yet" in ended.stderr
    assert not (tmp_path / "docs").exists()


def test_a_pruned_run_ends_in_the_middle_and_leaves_nothing_behind(plan: Search, material: Material) -> None:
    study = search.open_study(plan, material)
    for _ in range(2):
        best = study.ask()
        for epoch in (1, 2, 3):
            best.report(2.0, epoch)
        study.tell(best, 2.0)
    search.work(plan, material, 0, 3, time.time() + 300)
    assert study.trials[-1].state == TrialState.PRUNED
    assert len(study.trials[-1].intermediate_values) == 1
    assert not list(material.root.glob("run-*"))
