"""Sets held out."""

import json
import shutil
from pathlib import Path

import pytest

from tests.training.conftest import DATA, TINY
from tests.training.test_cli import call
from training import config as configs
from training import prepare, train
from training.config import RunConfig
from training.errors import ConfigError, RunError
from training.holdout import Short, Unseen, hold_out, table
from training.paths import RunPaths

SETS = """
[[sets]]
name = "{name}"
metric = "accuracy"
train = [{{ rows_per_epoch = 120 }}]
title = "A part of the tiny set"
source = "this repository"
licence = "Apache-2.0"
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunPaths]:
    """Return the config file of a run over two sets, and the run, prepared and trained."""
    folder = tmp_path_factory.mktemp("two")
    text = TINY.read_text("utf-8").replace("epochs = 30", "epochs = 6").replace('name = "tiny"', 'name = "two"', 1)
    file = folder / "two.toml"
    file.write_text(text[: text.index("[[sets]]")] + SETS.format(name="plain") + SETS.format(name="meals"), "utf-8")
    data = folder / "data" / "sentiment"
    for name in ("plain", "meals"):
        shutil.copytree(DATA / "sentiment" / "tiny", data / name)
    config, paths = configs.load(file), RunPaths(folder / "runs" / "two")
    prepare.prepare(config, data.parent, paths, lambda _: None)
    train.train(config, paths, lambda _: None)
    return file, paths


def begun(two: tuple[Path, RunPaths], folder: Path) -> tuple[RunConfig, RunPaths]:
    return configs.load(two[0]), RunPaths(Path(shutil.copytree(two[1].root, folder / "two")))


def test_a_set_is_scored_by_a_network_that_was_not_trained_on_it(two: tuple[Path, RunPaths], tmp_path: Path) -> None:
    config, paths = begun(two, tmp_path)
    (found,) = hold_out(config, paths, sets=["meals"], say=lambda _: None)
    full = json.loads(paths.report.read_text("utf-8"))["blend"]["figures"]
    less = json.loads((paths.root / "holdout" / "meals" / "train.json").read_text("utf-8"))["blend"]["figures"]
    assert (found.name, found.metric, found.rows) == ("meals", "accuracy", 90)
    assert found.seen == full["meals"]
    # The two sets hold the same rows, so that what was learnt from one is known of the other.
    assert found.unseen == pytest.approx(less["plain"])
    assert found.others == pytest.approx(less["plain"] - full["plain"])
    assert less.keys() == {"plain"}
    assert json.loads(paths.heldout.read_text("utf-8"))["epochs"] == 6


def test_fewer_epochs_are_compared_with_a_reference_of_as_few(two: tuple[Path, RunPaths], tmp_path: Path) -> None:
    config, paths = begun(two, tmp_path)
    said: list[str] = []
    found = hold_out(config, paths, short=Short(1), say=said.append)
    reference = json.loads((paths.root / "holdout" / "_none" / "train.json").read_text("utf-8"))
    assert {one.name: one.seen for one in found} == reference["blend"]["figures"]
    assert said[0] == "holdout: nothing left out, 1 epochs, for reference"


def test_what_is_done_is_not_done_again_and_other_sets_are_added(two: tuple[Path, RunPaths], tmp_path: Path) -> None:
    config, paths = begun(two, tmp_path)
    hold_out(config, paths, sets=["meals"], short=Short(1), say=lambda _: None)
    trained = (paths.root / "holdout" / "meals" / "network.safetensors").stat().st_mtime_ns
    said: list[str] = []
    hold_out(config, paths, sets=["meals"], short=Short(1), say=said.append)
    assert [line for line in said if "without meals" in line] == []
    assert (paths.root / "holdout" / "meals" / "network.safetensors").stat().st_mtime_ns == trained
    hold_out(config, paths, sets=["plain"], short=Short(1), say=lambda _: None)
    assert [one["name"] for one in json.loads(paths.heldout.read_text("utf-8"))["sets"]] == ["plain", "meals"]
    with pytest.raises(RunError, match="held out under other settings; start anew with --no-resume"):
        hold_out(config, paths, sets=["meals"], short=Short(2), say=lambda _: None)


def test_the_verb_writes_json_and_markdown(two: tuple[Path, RunPaths], tmp_path: Path) -> None:
    _, paths = begun(two, tmp_path)
    ended = call("holdout", two[0], "--runs", tmp_path, "--sets", "plain", "--epochs", "1", "--threads", "1")
    assert ended.exit_code == 0, ended.output
    found = json.loads(paths.heldout.read_text("utf-8"))
    text = paths.heldout.with_suffix(".md").read_text("utf-8")
    assert text == table(found) + "\n"
    assert "| held out | trained on it | never saw it | difference | others |" in text


def test_a_set_that_is_none_of_the_run_is_refused(two: tuple[Path, RunPaths], tiny: RunConfig) -> None:
    with pytest.raises(ConfigError, match="'other': not among the run's sets: plain, meals"):
        hold_out(configs.load(two[0]), two[1], sets=["other"], say=lambda _: None)
    with pytest.raises(ConfigError, match="one set alone"):
        hold_out(tiny, two[1], say=lambda _: None)


def test_a_row_of_the_table_tells_the_drop() -> None:
    one = Unseen("imdb", "accuracy", 100, seen=0.91, unseen=0.853, others=0.004, seconds=1.0)
    found = {"epochs": 2, "rows": 1.0, "sets": [{name: getattr(one, name) for name in Unseen.__slots__}]}
    assert table(found).splitlines()[-1] == "| imdb | 91.0 | 85.3 | -5.7 | +0.4 |"


def test_a_share_of_the_rows_makes_the_epochs_shorter_and_takes_the_strength_that_was_chosen(
    two: tuple[Path, RunPaths], tmp_path: Path
) -> None:
    config, paths = begun(two, tmp_path)
    chosen = json.loads(paths.report.read_text("utf-8"))["ngrams"]["l2"]
    less = Short(2, 0.25).of(config, chosen)
    assert less.loop.epochs == 2
    assert less.ngrams.l2 == (chosen,)
    assert [part.rows_per_epoch for one in less.sets for part in one.train] == [30, 30]
    hold_out(config, paths, sets=["meals"], short=Short(2, 0.25), say=lambda _: None)
    told = json.loads(paths.heldout.read_text("utf-8"))
    assert (told["epochs"], told["rows"]) == (2, 0.25)
    assert "Epochs: 2, each of 25% of the run's rows" in table(told)


def test_the_whole_run_is_not_shortened(two: tuple[Path, RunPaths]) -> None:
    config = configs.load(two[0])
    assert Short().of(config, 1.0) is config
    assert Short(config.loop.epochs).of(config, 1.0) is config
