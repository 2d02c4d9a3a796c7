"""Passages to restore, drawn by processes of their own."""

from pathlib import Path

import numpy as np

from training.summarize import restore
from training.summarize.config import RestoreConfig, StageConfig
from training.summarize.corpus import Documents, load_documents
from training.summarize.vocabulary import KIND_IDS, LINE_ID

CONFIG = RestoreConfig(
    max_tokens=40,
    min_target=3,
    passages=2,
    rows_per_epoch=4,
    loop=StageConfig(epochs=1, max_cells=100, max_rows=4, learning_rate=1e-3),
)


def documents(count: int) -> Documents:
    rng = np.random.default_rng(5)
    cut = [[rng.integers(20, 90, size=4 + at % 3).astype(np.int32) for at in range(6)] for _ in range(count)]
    return Documents.of(cut, [KIND_IDS["dialogue" if at % 2 else "headline"] for at in range(count)])


def test_every_document_gives_its_passages_with_its_kind() -> None:
    found = restore.drawn(documents(5), CONFIG, 7)

    assert len(found) == 10
    assert sorted(found.kinds.tolist()) == sorted([KIND_IDS["headline"]] * 6 + [KIND_IDS["dialogue"]] * 4)
    for row in range(len(found)):
        assert (LINE_ID in found.sources.row(row)) == (found.kinds[row] == KIND_IDS["dialogue"])


def test_what_is_drawn_is_a_function_of_the_seed() -> None:
    first, second, other = (restore.drawn(documents(3), CONFIG, seed) for seed in (7, 7, 8))

    assert np.array_equal(first.sources.ids, second.sources.ids)
    assert not np.array_equal(first.sources.ids, other.sources.ids)


def test_documents_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = documents(3)
    written.save(tmp_path / "documents.npz")
    found = load_documents(tmp_path / "documents.npz")

    assert len(found) == 3
    for at in range(3):
        assert [one.tolist() for one in found.document(at)] == [one.tolist() for one in written.document(at)]
