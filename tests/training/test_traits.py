"""Repetition, novelty, length, and numbers and names that nobody said."""

import pytest

from training.traits import traits

DOCUMENT = "On Monday Ann Lee paid 1,200 dollars to Bob. It rained."


def test_a_quote_has_nothing_new_and_nothing_made_up() -> None:
    found = traits([DOCUMENT], ["On Monday Ann Lee paid 1,200 dollars to Bob."], [["Ann Lee paid Bob."]], "en")

    assert (found.repeated, found.novel_1, found.novel_3, found.numbers, found.names) == (0, 0, 0, 0, 0)
    assert (found.all_numbers, found.all_names) == (1, 4)
    assert found.length == pytest.approx(10 / 5)


def test_what_the_document_lacks_is_counted() -> None:
    found = traits([DOCUMENT], ["She gave Carl 1,300 and Bob 1,200"], [["x"]], "en")

    assert found.numbers == 1 / 2
    assert found.names == 1 / 2
    assert found.novel_1 == pytest.approx(5 / 7)


def test_a_trigram_that_comes_again_is_a_repetition() -> None:
    assert traits([DOCUMENT], ["a b c a b c"], [["x"]], "en").repeated == 1 / 4


def test_chinese_is_compared_by_character() -> None:
    found = traits(["今天下雨了"], ["今天晴"], [["下雨"]], "zh")

    assert found.novel_1 == pytest.approx(1 / 3)
    assert found.length == 1.5


def test_empty_summaries_have_no_shares() -> None:
    assert traits([DOCUMENT], [""], [["x"]], "en").figures()["novel_2"] == 0.0
