"""A comparison's file, and the runs it comes to."""

from pathlib import Path

import pytest

from tests.training.conftest import TINY
from tests.training.study.conftest import COMPARE
from training.errors import ConfigError
from training.study import plan as plans
from training.study.material import Material
from training.study.plan import Comparison

ADDED = '[[added]]\nname = "tiny"\nsplit = "train"\nrows = 5'


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = COMPARE.read_text("utf-8")
    assert old in text
    (tmp_path / "tiny.toml").write_bytes(TINY.read_bytes())
    path = tmp_path / "edited.toml"
    path.write_text(text.replace(old, new), "utf-8")
    return path


def test_sides_that_are_alike_are_one_run(plan: Comparison, material: Material) -> None:
    found = plans.jobs(plan, material)
    # Base, two epochs and three, n-grams and none, and the taught one; the cell is the two epochs.
    assert len(found) == 6 * 2
    assert len({job.key for job in found}) == len(found)


def test_a_study_cut_short_has_every_technique_by_the_first_seed(plan: Comparison, material: Material) -> None:
    assert [job.config.seed for job in plans.jobs(plan, material)] == [1] * 6 + [2] * 6


def test_a_run_holds_the_sets_rows_and_the_changed_settings(plan: Comparison, material: Material) -> None:
    made = plans.job(plan, plan.sets[0], 2, {"model.hidden": 5}, material).config
    assert (made.seed, made.model.hidden, made.loop.dev_rows) == (2, 5, 60)
    assert [part.rows_per_epoch for part in made.sets[0].train] == [120]


def test_other_data_are_another_run(plan: Comparison, material: Material) -> None:
    other = Material(material.root, "0" * 16)
    assert plans.job(plan, plan.sets[0], 1, {}, material).key != plans.job(plan, plan.sets[0], 1, {}, other).key


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"loop.epochs" = 3', '"loop.epoch" = 3', r"technique 'more epochs', on: unknown key 'loop\.epoch'"),
        ('"loop.epochs" = 3', '"loop.epochs" = "3"', r"technique 'more epochs', on: loop\.epochs: .*got '3'"),
        ('"loop.epochs" = 3', '"seed.x" = 3', r"technique 'more epochs', on: 'seed\.x'"),
        ("seeds = [1, 2]", "seeds = [1]", r"seeds: .*at least 2"),
        ("seeds = [1, 2]", "seeds = [1, 1]", r"seeds: one occurs twice"),
        ('name = "n-gram branch"', 'name = "more epochs"', r"techniques: one occurs twice"),
        ('set = "tiny"', 'set = "other"', r"'other' is none of the sets"),
        ('base = "tiny.toml"', 'base = "none.toml"', r"none\.toml: cannot be read"),
        ("dev_rows = 60", "dev_rows = 60\ntest_rows = 60", r"unknown key 'sets\.0\.test_rows'"),
        ("dev_rows = 60", f"dev_rows = 60\n{ADDED}", r"added: tiny/train is laid out already"),
    ],
    ids=[
        "unknown key",
        "wrong type",
        "no table",
        "one seed",
        "a seed twice",
        "a name twice",
        "no set",
        "no base",
        "test",
        "a split twice",
    ],
)
def test_a_wrong_file_is_refused_before_anything_runs(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plans.load(edited(tmp_path, old, new))
