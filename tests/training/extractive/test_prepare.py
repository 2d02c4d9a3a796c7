"""Documents become sentences of ids, with the labels of the oracle."""

from dataclasses import fields

import numpy as np

from training.extractive.config import ExtractConfig
from training.extractive.corpus import Documents, Row
from training.extractive.prepare import DEV, TRAIN, dev_texts, opened
from training.paths import RunPaths


def test_the_sentence_that_the_headline_tells_of_is_labelled(quoting_prepared: RunPaths) -> None:
    documents, texts = opened(quoting_prepared, "tiny-news", DEV), dev_texts(quoting_prepared, "tiny-news")

    assert len(documents) == len(texts) == 12
    for at, text in enumerate(texts):
        (place,) = np.flatnonzero(documents.row(at).labels)
        assert text.sentences[place].startswith("In ")


def test_every_sentence_has_tokens_and_words(quoting: ExtractConfig, quoting_prepared: RunPaths) -> None:
    documents = opened(quoting_prepared, "tiny-news", TRAIN)

    assert len(documents) == 160
    row = documents.row(3)
    assert len(row.sentences) == len(row.words) == len(row.labels) == 4
    assert all(0 < len(one) <= quoting.document.max_sentence_tokens for one in row.sentences)
    assert documents.cells[3] == sum(map(len, row.sentences)) + 4 * 4


def test_documents_laid_end_to_end_come_apart_again() -> None:
    def ints(*values: int) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
        return np.array(values, dtype=np.int32)

    rows = [
        Row([ints(5, 6), ints(7)], np.array([True, False]), [ints(1), ints()], ints(1, 2)),
        Row([ints(8)], np.array([True]), [ints(3, 3, 4)], ints()),
    ]

    found = Documents.of(rows)

    for at, row in enumerate(rows):
        for one in fields(Row):
            np.testing.assert_equal(getattr(found.row(at), one.name), getattr(row, one.name))
