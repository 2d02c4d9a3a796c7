"""What all baselines share."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.training.baselines.problems import CHINESE, ENGLISH, rows
from training.baselines.protocol import Candidate, choose, cut

DEV = rows([("a", "positive"), ("b", "negative"), ("c", "negative"), ("d", "neutral")])


def candidates(*decided: list[str]) -> Iterator[Candidate]:
    for at, labels in enumerate(decided):
        yield Candidate({"c": at}, labels, lambda texts, labels=labels: labels[: len(texts)])  # type: ignore[misc]


def test_the_best_on_dev_is_chosen_and_the_earlier_of_equals() -> None:
    one_right = ["positive"] * 4
    two_right = ["positive", "negative", "positive", "positive"]
    fitted = choose(candidates(one_right, two_right, two_right), DEV, ENGLISH)
    assert fitted.choice == {"c": 1, "dev": 0.5}
    assert fitted.predict(["a", "b"]) == ["positive", "negative"]


def test_the_figure_that_the_set_is_judged_by_decides() -> None:
    mostly = ["negative"] * 4
    evenly = ["positive", "positive", "positive", "neutral"]
    by_accuracy = choose(candidates(mostly, evenly), DEV, ENGLISH)
    by_recall = choose(candidates(mostly, evenly), DEV, dataclasses.replace(ENGLISH, metric="macro_recall"))
    assert (by_accuracy.choice["c"], by_recall.choice["c"]) == (0, 1)


def test_a_label_that_training_lacks_counts_as_missed() -> None:
    scores = CHINESE.score(["positive", "neutral"], ["positive", "positive"])
    assert (scores.accuracy, scores.macro_recall) == (0.5, 0.5)


def test_a_label_that_a_split_lacks_counts_where_it_was_decided() -> None:
    assert ENGLISH.score(["positive", "positive"], ["positive", "neutral"]).accuracy == 0.5


@pytest.mark.parametrize(
    ("languages", "unit"), [(("en",), "words"), (("zh",), "characters"), (("en", "zh"), "characters")], ids=str
)
def test_characters_are_for_languages_written_without_spaces(languages: tuple[str, ...], unit: str) -> None:
    assert dataclasses.replace(ENGLISH, languages=languages).unit == unit


def test_text_is_cut_into_words_and_signs_or_into_characters() -> None:
    assert cut("Don't  stop!", "words") == ["don", "'", "t", "stop", "!"]
    assert cut("我 爱OK\n", "characters") == ["我", "爱", "o", "k"]
