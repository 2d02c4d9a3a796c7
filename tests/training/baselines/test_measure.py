"""Baselines of a set, fitted once and kept."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import DATA
from training.baselines import measure as measuring
from training.baselines.kept import Kept
from training.baselines.measure import Measured, measure
from training.baselines.protocol import Fitted, Problem
from training.config import RunConfig
from training.data import Rows, read_split
from training.errors import RunError


@dataclass
class Spy:
    """A baseline that says nothing but "positive", and writes down what it is shown."""

    events: list[str]
    name: str = "lr"
    title: str = "spy"
    library: str | None = None
    seen: list[Rows] = field(default_factory=list)

    def settings(self, problem: Problem) -> Mapping[str, Any]:  # noqa: ARG002 - the protocol's
        return {}

    def applies(self, problem: Problem) -> bool:  # noqa: ARG002 - the protocol's
        return True

    def fit(self, train: Rows, dev: Rows, problem: Problem) -> Fitted:  # noqa: ARG002 - the protocol's
        self.events.append("fit")
        self.seen += [train, dev]
        return Fitted({"c": 1.0}, self.predict)

    def predict(self, texts: list[str]) -> list[str]:
        self.events.append(f"predict {len(texts)}")
        return ["positive"] * len(texts)


Run = Callable[..., list[Measured]]


@pytest.fixture
def spied(tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Spy, Run, Path]:
    """Return a spy, what runs it on a copy of the tiny set, and that copy; reading a split is an event as well."""
    data = tmp_path / "data"
    shutil.copytree(DATA, data)
    spy = Spy([])

    def read(*words: Any) -> Rows:
        spy.events.append(f"read {words[2]}")
        return read_split(*words)

    monkeypatch.setattr(measuring, "read_split", read)

    def run(*splits: str, reuse: bool = True, config: RunConfig = tiny) -> list[Measured]:
        kept = Kept(tmp_path / "kept", reuse=reuse)
        return measure(data, config, config.sets[0], splits, kept=kept, say=lambda _: None, baselines=[spy])

    return spy, run, data / "sentiment" / "tiny"


def test_the_test_split_is_read_after_the_choice_and_only_to_be_labelled(
    spied: tuple[Spy, Run, Path], tiny: RunConfig
) -> None:
    spy, run, _ = spied
    run("test")
    assert spy.events == ["read train", "read dev", "fit", "read test", "predict 90"]
    assert spy.seen == [read_split(DATA, "tiny", split, tiny.labels) for split in ("train", "dev")]


def test_one_fit_is_scored_on_any_number_of_splits(spied: tuple[Spy, Run, Path]) -> None:
    spy, run, _ = spied
    dev, test = run("dev", "test")
    assert spy.events.count("fit") == 1
    assert (dev.split, test.split) == ("dev", "test")
    assert test.baselines[0].scores.accuracy == pytest.approx(1 / 3)
    assert test.rows == 90


def test_kept_figures_are_the_same_and_cost_no_second_fit(spied: tuple[Spy, Run, Path]) -> None:
    spy, run, _ = spied
    first, again = run("test"), run("test")
    assert first == again
    assert spy.events.count("fit") == 1


def test_figures_are_measured_anew_when_asked_for(spied: tuple[Spy, Run, Path]) -> None:
    spy, run, _ = spied
    run("test")
    run("test", reuse=False)
    assert spy.events.count("fit") == 2


@pytest.mark.parametrize("changed", ["train", "dev", "test"])
def test_a_changed_row_in_any_split_is_measured_anew(spied: tuple[Spy, Run, Path], changed: str) -> None:
    spy, run, folder = spied
    run("test")
    path = folder / f"{changed}.jsonl"
    *others, last = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*others, json.dumps(json.loads(last) | {"text": "another"})]) + "\n", "utf-8")
    run("test")
    assert spy.events.count("fit") == 2


def test_a_choice_made_by_another_figure_is_made_anew(spied: tuple[Spy, Run, Path], tiny: RunConfig) -> None:
    spy, run, _ = spied
    run("test")
    other = tiny.sets[0].model_copy(update={"metric": "macro_f1"})
    run("test", config=tiny.model_copy(update={"sets": (other,)}))
    assert spy.events.count("fit") == 2


def test_a_baseline_whose_library_is_missing_says_so(spied: tuple[Spy, Run, Path]) -> None:
    spy, run, _ = spied
    spy.library = "no_such_library"
    (found,) = run("test")
    assert found.baselines == []
    assert found.not_run == {"lr": "no_such_library is not installed; it comes with sluice's extra 'baselines'"}
    assert "fit" not in spy.events


def test_a_broken_file_of_kept_figures_says_what_to_do(spied: tuple[Spy, Run, Path], tmp_path: Path) -> None:
    _, run, _ = spied
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "tiny.json").write_text("{", "utf-8")
    with pytest.raises(RunError, match=r"tiny\.json: not JSON .* delete it"):
        run("test")
