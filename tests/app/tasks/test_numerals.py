"""What a numeral may go on with, told in pieces; a space stands before a piece that follows white space."""

import numpy as np
import pytest

from app.modelpack.signs import Signs
from app.tasks.numerals import OUTSIDE, Numerals

PIECES = [
    *["</s>", "the", "▁the", "人", "0", "5", "20", "00", "000", "200", "▁0", "▁5", "▁20", "▁200", ".", ",", "-", ":"],
    *["/", "%", "万", "▁million", "rd", "k"],
]
ENOUGH = 99


def ids(text: str) -> list[int]:
    """Return the pieces of a text written with a bar between them."""
    return [PIECES.index(piece) for piece in text.split("|")]


def numerals(text: str, *, cut: bool = False) -> Numerals:
    return Numerals(np.array(ids(text)), Signs.of(PIECES), cut=cut)


def stands(found: Numerals, said: str) -> int:
    node = OUTSIDE
    for token in ids(said) if said else ():
        node = found.after(node, token)
    return node


def only(source: str, said: str, left: int = ENOUGH) -> set[str]:
    """Return what alone may follow."""
    found = numerals(source)
    node = stands(found, said)
    assert found.unfinished(node)
    return {PIECES[at] for at in found.only(node, left)}


def banned(source: str, said: str, left: int = ENOUGH) -> set[str]:
    """Return what may not follow."""
    found = numerals(source)
    node = stands(found, said)
    assert not found.unfinished(node)
    return {PIECES[at] for at in found.banned(node, left)}


UNITS = {"%", "万", "▁million"}


@pytest.mark.parametrize(
    ("source", "said", "wanted"),
    [
        ("▁0|.|5|%", "▁0", {"."}),
        ("▁0|.|5|%", "▁0|.", {"5"}),
        ("▁0|.|5|%", "▁0|.|5", {"%"}),
        ("▁20|,|000|,|000", "▁20|,|000", {","}),
        ("▁20|00", "▁20", {"00"}),
        ("20|-|5|-|20", "20|-|5", {"-"}),
        ("20|:|00|/|20|:|5", "20|:|00", {"/"}),
        ("5|万|-|20|万", "5|万", {"-"}),
        ("▁5|▁million", "▁5", {"▁million"}),
        ("5|rd", "5", {"rd"}),
        ("▁20|00|the|▁20|.|5", "▁20", {"00", "."}),
    ],
)
def test_a_numeral_goes_on_as_in_the_source(source: str, said: str, wanted: set[str]) -> None:
    assert only(source, said) == wanted


def test_a_numeral_that_is_over_somewhere_may_end_there() -> None:
    assert banned("▁20|▁the|▁20|00", "▁20") == UNITS
    assert banned("▁20|▁the|▁20|00|5", "▁20") == {"5", *UNITS}


def test_no_digits_are_glued_to_a_numeral_that_is_over() -> None:
    assert banned("▁20|▁the|5|▁the|▁5", "▁20") == {"5", *UNITS}
    assert banned("▁20|▁the|5|▁the|▁5", "▁20|,") == {"5"}
    assert banned("▁20|▁the|5|▁the|▁5", "▁20|,|the") == set()


def test_a_numeral_begins_where_one_of_the_source_does() -> None:
    assert banned("▁0|.|5|▁the|▁20|00", "") == {"5", "00"}
    assert banned("▁0|.|5|▁the|▁20|00", "the") == {"5", "00"}


def test_a_full_stop_or_a_sign_alone_is_no_part_of_a_numeral() -> None:
    assert banned("▁20|.|▁5|-|the", "▁20") == UNITS
    assert banned("▁20|.|▁5|-|the", "▁20|.") == set()


def test_a_numeral_too_long_for_what_is_left_is_not_begun() -> None:
    source = "▁20|▁the|▁5|,|000|,|000|▁the|▁20|00"
    assert banned(source, "", 4) == {"000", "00", "▁5"}
    assert banned(source, "", 5) == {"000", "00"}
    assert banned(source, "▁20", 1) == {"000", "▁5", *UNITS}
    assert only("▁5|.|20|▁the|▁5|.|20|00|5", "▁5|.", 1) == {"20"}
    assert only("5|.|20|-|20|▁the|5|-|20", "5", 2) == {"-"}


def test_what_has_no_digits_bans_nothing() -> None:
    assert not numerals("▁the|.|万")
    assert numerals("▁the|5")


def test_a_numeral_that_the_end_of_what_is_read_cuts_is_not_begun() -> None:
    assert numerals("▁5|▁the|▁20", cut=True).banned(OUTSIDE, ENOUGH) == ids("▁20")
    assert numerals("▁5|▁the|▁20").banned(OUTSIDE, ENOUGH) == []
    assert numerals("▁5|▁the|▁20|.", cut=True).banned(OUTSIDE, ENOUGH) == ids("▁20")
    assert numerals("▁5|▁20|▁the", cut=True).banned(OUTSIDE, ENOUGH) == []


def test_an_unfinished_numeral_is_told_by_its_tokens() -> None:
    found = numerals("▁20|,|000|▁the|▁20")
    said = ["", "▁20", "▁20|,", "▁20|,|000", "▁the"]
    assert [found.unfinished(stands(found, one)) for one in said] == [0, 0, 2, 0, 0]
