"""Documents and their summaries as a network is to learn them, and the sentences of a text by a plain rule."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from training.pairs import read_pairs

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


def read(data: Path, name: str, split: str) -> list[Pair]:
    """Read one split; `DataError` as `training.pairs.read_pairs`."""
    rows, cleaned = read_pairs(data, name, split), CLEANED.get(name, str)
    return [
        Pair(cleaned(document), cleaned(references[0]))
        for document, references in zip(rows.documents, rows.references, strict=True)
    ]


def sentences(text: str) -> list[str]:
    """Cut a text after its full stops and at its line breaks, a Chinese one after its commas too.

    For training alone, where a wrong cut costs little.
    """
    found, start = [], 0
    for end in _ENDS.finditer(text):
        found.append(text[start : end.end()].strip())
        start = end.end()
    return [one for one in [*found, text[start:].strip()] if one]
