"""Labelled text from disk."""

import json
import lzma
from pathlib import Path

import pytest

from training.data import read_split
from training.errors import DataError

LABELS = ("negative", "neutral", "positive")
ROWS: list[dict[str, object]] = [{"text": "good", "label": "positive"}, {"text": "b<br />ad", "label": "negative"}]


def write(data: Path, rows: list[dict[str, object]], name: str = "train.jsonl") -> None:
    folder = data / "sentiment" / "some"
    folder.mkdir(parents=True, exist_ok=True)
    raw = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / name).write_bytes(lzma.compress(raw) if name.endswith(".xz") else raw)


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.xz"])
def test_rows_come_in_file_order_from_plain_and_compressed_lines(tmp_path: Path, name: str) -> None:
    write(tmp_path, ROWS, name)
    rows = read_split(tmp_path, "some", "train", LABELS)
    assert rows.texts == ["good", "b<br />ad"]
    assert rows.labels == ["positive", "negative"]


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    assert len(read_split(tmp_path, "some", "train", LABELS)) == 2
    write(tmp_path, ROWS[:1])
    assert len(read_split(tmp_path, "some", "train", LABELS)) == 1


def test_what_is_missing_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="SLUICE_DATA must name"):
        read_split(tmp_path, "some", "train", LABELS)
    write(tmp_path, ROWS)
    with pytest.raises(DataError, match="no data set 'other'; there are: some"):
        read_split(tmp_path, "other", "train", LABELS)
    with pytest.raises(DataError, match=r"no split 'dev' .*; there are: train"):
        read_split(tmp_path, "some", "dev", LABELS)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write(tmp_path, [{"text": "good", "stars": 5}])
    with pytest.raises(DataError, match="no column 'label'; it has stars, text"):
        read_split(tmp_path, "some", "train", LABELS)


def test_an_unknown_label_is_named(tmp_path: Path) -> None:
    write(tmp_path, [{"text": "good", "label": "great"}])
    with pytest.raises(DataError, match="label 'great' is none of negative, neutral, positive"):
        read_split(tmp_path, "some", "train", LABELS)


def test_a_label_that_is_a_number_is_refused_with_its_row(tmp_path: Path) -> None:
    write(tmp_path, [{"text": "good", "label": 1}])
    with pytest.raises(DataError, match="row 1: label is 1, expected a string"):
        read_split(tmp_path, "some", "train", LABELS)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [])
    (tmp_path / "sentiment" / "some" / "train.jsonl").write_text("{not json", "utf-8")
    with pytest.raises(DataError, match="not JSON lines"):
        read_split(tmp_path, "some", "train", LABELS)
