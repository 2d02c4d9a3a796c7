"""Dotted keys over a run's table."""

import pytest

from training.errors import ConfigError
from training.study.overrides import overridden

TABLE = {"seed": 1, "model": {"hidden": 8}, "sets": [{"name": "a"}, {"name": "b"}]}


def test_a_dotted_key_changes_a_copy() -> None:
    found = overridden(TABLE, {"model.hidden": 9, "seed": 2}, "here")
    assert found == {"seed": 2, "model": {"hidden": 9}, "sets": [{"name": "a"}, {"name": "b"}]}
    assert TABLE["model"] == {"hidden": 8}


def test_a_number_picks_from_an_array() -> None:
    assert overridden(TABLE, {"sets.1.name": "c"}, "here")["sets"] == [{"name": "a"}, {"name": "c"}]


def test_a_section_that_is_not_there_is_made() -> None:
    assert overridden(TABLE, {"pretrain.epochs": 2}, "here")["pretrain"] == {"epochs": 2}


def test_an_override_is_not_shared_with_the_table_it_went_into() -> None:
    pooling = ["max"]
    found = overridden(TABLE, {"model.pooling": pooling}, "here")
    found["model"]["pooling"].append("mean")
    assert pooling == ["max"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("seed.x", r"here: 'seed.x': 'x' lies inside 1, which is no table"),
        ("seed.x.y", r"here: 'seed.x.y': 'x' lies inside 1, which is no table"),
        ("sets.2.name", r"here: 'sets.2.name': '2' is no place in an array of 2"),
        ("sets.first", r"here: 'sets.first': 'first' is no place in an array of 2"),
    ],
    ids=["through a number", "further through a number", "past the end", "no number"],
)
def test_a_key_that_leads_nowhere_is_named(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        overridden(TABLE, {key: 0}, "here")
