"""Encoded rows."""

from pathlib import Path

import numpy as np

from training import corpus

ROWS = [np.array([2, 3], np.int32), np.array([4], np.int32), np.array([5, 6, 7], np.int32)]
BINARY = np.array([True, False, True])


def test_rows_come_back_as_they_were_laid(tmp_path: Path) -> None:
    corpus.pack(ROWS, np.array([0, 2, 0]), BINARY).save(tmp_path / "new" / "rows.npz")
    found = corpus.load(tmp_path / "new" / "rows.npz")
    assert [found.row(at).tolist() for at in range(3)] == [[2, 3], [4], [5, 6, 7]]
    assert found.lens.tolist() == [2, 1, 3]
    assert found.labels.tolist() == [0, 2, 0]
    assert found.classes.tolist() == [True, False, True]


def test_a_head_spreads_over_the_whole() -> None:
    rows = corpus.pack([np.array([at], np.int32) for at in range(9)], np.arange(9), BINARY)
    assert rows.head(3).labels.tolist() == [0, 4, 8]
    assert rows.head(99) is rows
