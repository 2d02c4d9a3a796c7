"""Rows as examples."""

from pathlib import Path

import pytest

from tests.training.own.tables import COLUMNS, rows
from training.errors import DataError
from training.own.examples import Example, alike, check_whole, examples, ordered
from training.own.faults import SHOWN, Faults, Place, refuse
from training.own.table import Form, Record

FORM = Form(*COLUMNS)


def records(*pairs: tuple[object, object]) -> list[Record]:
    return [Record(Place(at, at), text, label) for at, (text, label) in enumerate(pairs, 2)]


def checked(*pairs: tuple[object, object]) -> tuple[list[Example], Faults]:
    faults = Faults(Path("my.csv"))
    return examples(records(*pairs), FORM, faults), faults


def of_the_whole(*pairs: tuple[object, object]) -> list[str]:
    found, faults = checked(*pairs)
    check_whole(found, FORM, faults)
    return faults.whole


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("", "1"), "row 2: 'review' is empty"),
        ((None, None), "row 2: 'review' is empty, and so is 'stars'"),
        ((" \u200b\t", "1"), "row 2: 'review' is empty"),
        ((7, "1"), "row 2: 'review' is 7; expected a text"),
        (("half \ud83d", "1"), "row 2: 'review' holds half of a surrogate pair, which is no character"),
        (("fine", " "), "row 2: 'stars' is empty"),
        (("fine", float("nan")), "row 2: 'stars' is empty"),
        (("fine", ["1"]), "row 2: 'stars' is ['1']; expected a name or a whole number"),
    ],
)
def test_a_row_that_is_no_example_is_named(pair: tuple[object, object], reason: str) -> None:
    found, faults = checked(pair)
    assert found == []
    assert faults.lines() == [reason]


def test_labels_become_strings() -> None:
    found, _ = checked(("a", 5), ("b", 4.0), ("c", " 3 "), ("d", True), ("e", 0.5))
    assert [one.label for one in found] == ["5", "4", "3", "true", "0.5"]


def test_one_text_with_two_labels_is_named_on_both_sides_and_left_out() -> None:
    found, faults = checked(("a  b", "1"), ("c", "1"), ("a b ", "5"), ("c", "1"))
    assert [one.text for one in found] == ["c", "c"]
    assert faults.lines() == [
        "row 2: 'a  b' is '1' here and '5' in row 4",
        "row 4: 'a b ' is '5' here and '1' in row 2",
    ]


def test_too_few_rows_are_refused() -> None:
    assert of_the_whole(*rows(49)) == ["49 usable rows; expected at least 50, and hundreds for a model of use"]
    assert of_the_whole(*rows(50)) == []


def test_one_class_alone_is_refused() -> None:
    assert of_the_whole(*((f"text {at}", "5") for at in range(60))) == [
        "'stars' holds one class alone, '5'; expected at least two"
    ]


def test_a_class_of_few_texts_is_named_however_often_they_are_repeated() -> None:
    few = [("Odd!", "odd")] * 7 + [("odd, too", "odd"), ("odd", "odd")]
    assert of_the_whole(*rows(60), *few) == [
        "class 'odd': 2 distinct texts, expected at least 5; add more, or merge it with another"
    ]


def test_measurements_are_no_classes() -> None:
    (reason,) = of_the_whole(*((f"text {at}", at % 250) for at in range(2000)))
    assert reason.startswith("'stars' holds 250 distinct numbers from 0 to 249, a measurement and no classes")
    (reason,) = of_the_whole(*((f"text {at}", at % 30 / 7) for at in range(600)))
    assert reason.startswith("'stars' holds 30 distinct numbers from 0 to 4.14286")
    assert of_the_whole(*((f"text {at}", at % 10 + 1) for at in range(600))) == []


def test_a_column_of_texts_is_no_column_of_classes() -> None:
    assert of_the_whole(*((f"text {at}", f"name {at}") for at in range(60))) == [
        "'stars' holds 60 distinct values in 60 rows; is it the column of classes?"
    ]


def test_labels_are_ordered_numbers_by_value_and_names_by_letter() -> None:
    assert ordered(["b", "10", "a", "9", "nan", "b"]) == ("9", "10", "a", "b", "nan")
    assert alike(["Good", "good", "bad"]) == [["Good", "good"]]


def test_texts_are_compared_on_letters_and_digits() -> None:
    first, second, third, fourth = (Example(Place(1, 1), text, "x") for text in ("So-So 1!", "ｓｏ so１", ":-)", ":-("))
    assert first.key == second.key == "soso1"
    assert third.key != fourth.key


def test_the_first_ten_faults_are_shown_and_the_rest_counted() -> None:
    _, faults = checked(*[("", "1")] * (SHOWN + 3))
    with pytest.raises(DataError) as refused:
        refuse([faults], skip_bad=False)
    lines = str(refused.value).splitlines()
    assert lines[:2] == ["my.csv: 13 problems", "  row 2: 'review' is empty"]
    assert lines[-2:] == ["  and 3 more", "Put them right, or leave out bad rows with --skip-bad."]


def test_skipping_bad_rows_does_not_skip_what_is_wrong_with_the_whole() -> None:
    found, faults = checked(("", "1"), ("a", "5"))
    refuse([faults], skip_bad=True)
    check_whole(found, FORM, faults)
    with pytest.raises(DataError, match="1 usable rows"):
        refuse([faults], skip_bad=True)
