"""The oracle finds the sentences nearest to a summary, by the figures that ROUGE gives them."""

from itertools import combinations

import numpy as np
import pytest

from training.oracle import SetScorer, oracle
from training.rouge import scorer

TEXTS = ["a dog barked at the cat", "it rained", "the cat slept all day long", "people walked by"]
SUMMARY = "a dog barked at the cat that slept all day long"


def _tokens(text: str) -> list[str]:
    return list(scorer("en").tokenizer.tokenize(text))


def test_each_sentence_alone_has_the_figure_of_rouge() -> None:
    scores = [scorer("en").score(text, [SUMMARY]) for text in TEXTS]

    words = [_tokens(text) for text in (*TEXTS, SUMMARY)]
    numbers = {word: at for at, word in enumerate(sorted({word for row in words for word in row}))}
    *said, wanted = [np.array([numbers[word] for word in row]) for row in words]
    found = SetScorer(said, [wanted]).alone()

    np.testing.assert_allclose(found, [(one.r1 + one.r2) / 2 for one in scores], rtol=1e-6)


def test_the_chosen_are_the_best_of_their_number_and_in_the_documents_order() -> None:
    def figure(places: tuple[int, ...]) -> float:
        return scorer("en").score(" ".join(TEXTS[at] for at in places), [SUMMARY]).r1

    assert oracle([_tokens(text) for text in TEXTS], [_tokens(SUMMARY)], 2) == [0, 2]
    assert max(combinations(range(len(TEXTS)), 2), key=figure) == (0, 2)


def test_a_sentence_that_adds_nothing_is_left_out() -> None:
    assert oracle([_tokens(text) for text in TEXTS], [_tokens(TEXTS[2])], 3) == [2]


@pytest.mark.parametrize("sentences", [[], [["x"], ["y", "z"]], [[]]])
def test_nothing_is_chosen_where_nothing_is_shared(sentences: list[list[str]]) -> None:
    assert oracle(sentences, [["a", "b"]], 2) == []


def test_with_several_references_their_mean_decides() -> None:
    assert oracle([["a"], ["b", "b"], ["c"]], [["a", "c"], ["c", "d"]], 1) == [2]


def test_many_sets_are_scored_at_once_and_each_as_greedy_search_sees_it() -> None:
    said = [np.array(row) for row in ([1, 2, 3], [4], [2, 3, 5])]
    scorer_of_sets = SetScorer(said, [np.array([1, 2, 3, 5])])

    found = scorer_of_sets.score(np.array([[0, 1], [2, 0]]))

    assert found[0] == scorer_of_sets.added_to([0])[1] == pytest.approx((2 * 3 / 8 + 2 * 2 / 5) / 2)
    assert found[1] == scorer_of_sets.added_to([0])[2]
    assert scorer_of_sets.greedy(3) == [0]
