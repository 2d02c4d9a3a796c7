"""ROUGE is the library's, in English words and in Chinese characters."""

from dataclasses import astuple

import pytest
from rouge_score.rouge_scorer import RougeScorer

from training.rouge import Rouge, Scorer, scorer

SUMMARY, REFERENCE = "The cats were sitting on 2 mats, happily.", "A cat sits on the mat; cats were sitting 2!"


def test_english_figures_are_the_librarys_own_with_stems() -> None:
    library = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True).score(REFERENCE, SUMMARY)

    found = Scorer("en").score(SUMMARY, [REFERENCE])

    assert found == Rouge(*(library[kind].fmeasure for kind in ("rouge1", "rouge2", "rougeL")))
    assert 0 < found.r2 < found.rl < found.r1 < 1


def test_chinese_is_scored_by_character_and_a_sign_is_one() -> None:
    # 今 天 a 5 。 against 今 天 b 5 。: four of five, two pairs of four
    found = Scorer("zh").score("今天 A5。", ["今天b5。"])

    assert astuple(found) == pytest.approx((0.8, 0.5, 0.8))


@pytest.mark.parametrize(("combine", "r1"), [("mean", 0.5), ("max", 1.0), ("first", 0.0)])
def test_several_references_come_to_their(combine: str, r1: float) -> None:
    assert scorer("en").score("cats sleep", ["dogs bark", "cats sleep"], combine).r1 == r1  # type: ignore[arg-type]


def test_no_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="references: none of them; expected at least one"):
        scorer("en").score("cats", [])


def test_an_average_is_each_figures_own() -> None:
    found = Rouge.average([Rouge(0.2, 0.0, 0.1), Rouge(0.4, 0.2, 0.2)])

    assert astuple(found) == pytest.approx((0.3, 0.1, 0.15))
    assert found.mean == pytest.approx(0.55 / 3)
