"""Sentences are chosen by score and by how little they repeat each other."""

import numpy as np
import pytest

from app.tasks.extract import Floats, choose

SCORES = np.array([0.5, 0.9, 0.8, 0.1], np.float32)
# The second and the third say the same.
VECTORS = np.array([[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]], np.float32)


@pytest.mark.parametrize(
    ("count", "redundancy", "places"),
    [
        (1, 0.0, [1]),
        (2, 0.0, [1, 2]),
        (2, 0.2, [1, 2]),
        (2, 0.4, [0, 1]),
        (3, 0.4, [0, 1, 2]),
        (3, 1.0, [0, 1, 3]),
        (9, 0.4, [0, 1, 2, 3]),
        (0, 0.4, []),
    ],
)
def test_the_chosen_are_in_the_documents_order(count: int, redundancy: float, places: list[int]) -> None:
    assert choose(SCORES, VECTORS, count, redundancy) == places


def test_of_equals_the_earlier_is_taken() -> None:
    assert choose(np.full(4, 0.5, np.float32), np.eye(4, dtype=np.float32), 2, 0.3) == [0, 1]


def test_a_document_without_sentences_has_none_to_quote() -> None:
    assert choose(np.zeros(0, np.float32), np.zeros((0, 3), np.float32), 2, 0.3) == []


@pytest.mark.parametrize("vectors", [VECTORS[:3], VECTORS[0]])
def test_scores_and_vectors_of_other_sentences_are_a_bug(vectors: Floats) -> None:
    with pytest.raises(ValueError, match="This is a bug: scores of shape"):
        choose(SCORES, vectors, 2, 0.0)
