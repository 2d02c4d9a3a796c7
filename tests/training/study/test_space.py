"""A search's file and its space."""

from pathlib import Path

import pytest

from tests.training.conftest import FIXTURES, TINY
from training.errors import ConfigError
from training.study import space
from training.study.space import Choice, Number

SEARCH = FIXTURES / "configs" / "search.toml"
SHIPPED = Path(space.__file__).parents[1] / "configs" / "search-zh.toml"


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = SEARCH.read_text("utf-8")
    assert old in text
    (tmp_path / "tiny.toml").write_bytes(TINY.read_bytes())
    path = tmp_path / "edited.toml"
    path.write_text(text.replace(old, new), "utf-8")
    return path


def test_the_shipped_search_begins_at_its_base() -> None:
    plan = space.load(SHIPPED)
    start = plan.start()
    assert start is not None
    assert plan.config(plan.seed, start) == plan.config(plan.seed, {})


def test_a_base_outside_the_space_is_no_trial() -> None:
    # The tiny run has 30 epochs, the space 2 and 3.
    assert space.load(SEARCH).start() is None


def test_a_number_holds_its_ends_and_no_truth_value() -> None:
    one = Number(kind="float", low=0, high=1)
    assert [one.holds(value) for value in (0, 1.0, 1.1, True, "0")] == [True, True, False, False, False]


def test_a_choice_holds_its_values() -> None:
    one = Choice(kind="choice", values=("a", "b"))
    assert [one.holds(value) for value in ("a", "c")] == [True, False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"loop.epochs"', '"loop.epoch"', r"space\.loop\.epoch: .*unknown key 'loop\.epoch'"),
        ("low = 2, high = 3", "low = 0, high = 3", r"space\.loop\.epochs: .*greater than 0"),
        ("low = 2, high = 3", "low = 3, high = 3", r"expected low below high"),
        ("low = 2, high = 3", "low = 2.5, high = 3", r"expected whole numbers"),
        ("low = 1e-4", "low = 0.0", r"expected above 0 with log"),
        ('"gru"', '"transformer"', r"space\.model\.cell: .*got 'transformer'"),
        ("confirm_seeds = [2, 3]", "confirm_seeds = [1, 2]", r"1 is the search's own seed"),
    ],
    ids=["unknown key", "end outside", "empty", "half", "log of 0", "unknown choice", "own seed"],
)
def test_a_wrong_space_is_refused_before_anything_runs(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space.load(edited(tmp_path, old, new))
