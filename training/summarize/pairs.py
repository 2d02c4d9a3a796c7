"""Documents and their summaries from local JSON lines, and the sentences of a text by a plain rule."""

import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from training.data import file_of
from training.errors import DataError

FOLDER = "summarization"
_SPACED_HYPHEN = re.compile(r"(?<=\w) - (?=\w)")
_UNKNOWN = re.compile(r"<unk>")
CLEANED: dict[str, Callable[[str], str]] = {
    "cnn_dailymail": lambda text: _SPACED_HYPHEN.sub("-", text),
    # Spelt as the test split spells it, since that is what a caller sends.
    "gigaword_10k": lambda text: _UNKNOWN.sub("unk", text),
}
UNKNOWN_WORD = {"gigaword_10k": "▁unk"}
"""The piece that stands for a word a corpus has hidden, by set: it is read, and no summary learns to write it."""
_ENDS = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+|(?<=[。！？；，])[”’」』）]*|(?<=[\u4e00-\u9fff][,;.?!])")


class Pair(NamedTuple):
    """A document and its summary; where there are several, the first, which in aeslc is the original."""

    document: str
    summary: str


def read_pairs(data: Path, name: str, split: str) -> list[Pair]:
    """Read one split; `DataError` names the missing set or split, or the row without document or summary."""
    path = file_of(data, name, split, FOLDER)
    cleaned = CLEANED.get(name, str)
    pairs = []
    for number, line in enumerate(_lines(path), start=1):
        row = json.loads(line)
        summary = row.get("summary") or next(iter(row.get("summaries") or []), None)
        document = row.get("document")
        if not isinstance(document, str) or not isinstance(summary, str):
            raise DataError(f"{path}: row {number}: expected a document and a summary, or summaries, as strings")
        pairs.append(Pair(cleaned(document), cleaned(summary)))
    if not pairs:
        raise DataError(f"{path}: no rows")
    return pairs


def sentences(text: str) -> list[str]:
    """Cut a text after its full stops and at its line breaks, a Chinese one after its commas too.

    For training alone, where a wrong cut costs little.
    """
    found, start = [], 0
    for end in _ENDS.finditer(text):
        found.append(text[start : end.end()].strip())
        start = end.end()
    return [one for one in [*found, text[start:].strip()] if one]


def _lines(path: Path) -> list[str]:
    if path.suffix == ".xz":
        with lzma.open(path, "rt", encoding="utf-8") as file:
            return [line for line in file if line.strip()]
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
