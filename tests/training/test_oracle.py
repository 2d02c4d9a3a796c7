"""The oracle finds the sentences nearest to a summary, by the figures that ROUGE gives them."""

from itertools import combinations

import numpy as np
import pytest

from training.oracle import gains, oracle
from training.rouge import scorer

TEXTS = ["a dog barked at the cat", "it rained", "the cat slept all day long", "people walked by"]
SUMMARY = "a dog barked at the cat that slept all day long"


def _tokens(text: str) -> list[str]:
    return list(scorer("en").tokenizer.tokenize(text))


def test_each_sentence_alone_has_the_figure_of_rouge() -> None:
    scores = [scorer("en").score(text, [SUMMARY]) for text in TEXTS]

    found = gains([_tokens(text) for text in TEXTS], _tokens(SUMMARY))

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
