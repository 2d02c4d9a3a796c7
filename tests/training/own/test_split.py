"""The split."""

from collections import Counter
from pathlib import Path

from tests.training.own.tables import rows
from training.own.examples import Example
from training.own.faults import Faults, Place
from training.own.split import Part, split, without_shared

CUT: tuple[Part, Part] = ("dev", "test")


def made(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(Place(at, at), text, label) for at, (text, label) in enumerate(pairs, 2)]


REPEATED = made(*rows(300), *((text.upper() + "!", label) for text, label in rows(90)))


def test_every_row_is_in_one_part_and_no_text_in_two() -> None:
    parts = split(REPEATED, CUT, seed=13)
    assert sorted(one.place for part in parts.values() for one in part) == [one.place for one in REPEATED]
    keys = [{one.key for one in part} for part in parts.values()]
    assert sum(map(len, keys)) == len(set.union(*keys)) == 300


def test_each_class_gives_a_tenth_to_each_part_held_out() -> None:
    parts = split(REPEATED, CUT, seed=13)
    assert list(parts) == ["train", "dev", "test"]
    for part in CUT:
        assert Counter(one.label for one in parts[part]) == {"1": 13, "3": 13, "5": 13}


def test_the_split_is_a_function_of_the_seed() -> None:
    assert split(REPEATED, CUT, seed=13) == split(REPEATED, CUT, seed=13)
    assert split(REPEATED, CUT, seed=13) != split(REPEATED, CUT, seed=14)


def test_the_smallest_class_is_in_every_part() -> None:
    few = made(*rows(60), *((f"odd {at}", "odd") for at in range(5)))
    for part in split(few, CUT, seed=1).values():
        assert "odd" in {one.label for one in part}


def test_only_the_parts_asked_for_are_cut_off() -> None:
    parts = split(REPEATED, ["dev"], seed=13)
    assert {name: len(part) for name, part in parts.items()} == {"train": 351, "dev": 39}


def test_texts_that_given_parts_share_are_faults_of_the_earlier() -> None:
    faults: dict[Part, Faults] = {"train": Faults(Path("my.csv")), "test": Faults(Path("test.csv"))}
    kept = without_shared({"train": made(("A b.", "1"), ("c", "1")), "test": made(("a b", "1"))}, faults)
    assert [one.text for one in kept["train"]] == ["c"]
    assert [one.text for one in kept["test"]] == ["a b"]
    assert faults["train"].lines() == ["row 2: its text is also in test.csv, row 2"]
    assert faults["test"].lines() == []
