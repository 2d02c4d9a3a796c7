"""Documents and their summaries are read from JSON lines, and what is no pair is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from training.errors import DataError
from training.pairs import Pairs, is_summarization, read_pairs


def _written(root: Path, *rows: dict[str, Any]) -> Path:
    folder = root / "summarization" / "news"
    folder.mkdir(parents=True)
    (folder / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return root


def test_one_summary_a_row_or_several(tmp_path: Path) -> None:
    one = _written(tmp_path / "one", {"document": "a b", "summary": "a"}, {"document": "c", "summary": "d"})
    several = _written(tmp_path / "several", {"document": "a b", "summaries": ["a", "b"]})

    assert read_pairs(one, "news", "dev") == Pairs(["a b", "c"], [("a",), ("d",)])
    assert read_pairs(one, "news", "dev").head(1) == Pairs(["a b"], [("a",)])
    assert read_pairs(several, "news", "dev") == Pairs(["a b"], [("a", "b")])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"document": "a"}, "no column 'summary'; it has document"),
        ({"text": "a", "summary": "b"}, "no column 'document'; it has summary, text"),
        ({"document": 3, "summary": "b"}, "row 1: document is 3, expected a string"),
        ({"document": "a", "summaries": []}, "row 1: summaries is empty, expected at least one summary"),
    ],
)
def test_what_is_no_pair_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_pairs(_written(tmp_path, row), "news", "dev")


def test_a_set_is_known_by_its_folder(tmp_path: Path) -> None:
    data = _written(tmp_path, {"document": "a", "summary": "b"})

    assert is_summarization(data, "news")
    assert not is_summarization(data, "tiny")
