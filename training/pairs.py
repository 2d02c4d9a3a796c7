"""Documents and the summaries that people wrote of them: <data>/summarization/<set>/<split>.jsonl, plain or xz."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data import file_of, read_table
from training.errors import DataError

FOLDER = "summarization"
DOCUMENT, ONE, SEVERAL = "document", "summary", "summaries"


@dataclass(frozen=True, slots=True)
class Pairs:
    """The rows of one split, in file order: each document has one reference summary or several."""

    documents: list[str]
    references: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.documents)

    def head(self, rows: int | None) -> "Pairs":
        """Return the first rows, all where `rows` is None."""
        return Pairs(self.documents[:rows], self.references[:rows])


def read_pairs(data: Path, name: str, split: str) -> Pairs:
    """Read one split; `DataError` names the missing set, split or column, or the row that is no pair."""
    path = file_of(data, name, split, FOLDER)
    table = read_table(path)
    have = set(table.column_names)
    column = SEVERAL if SEVERAL in have else ONE
    missing = [wanted for wanted in (DOCUMENT, column) if wanted not in have]
    if missing:
        raise DataError(f"{path}: no column {missing[0]!r}; it has {', '.join(sorted(have))}")
    if not len(table):
        raise DataError(f"{path}: no rows")
    documents = [_text(value, f"{path}: row {at + 1}: {DOCUMENT}") for at, value in enumerate(table[DOCUMENT])]
    references = [_references(value, f"{path}: row {at + 1}: {column}") for at, value in enumerate(table[column])]
    return Pairs(documents, references)


def is_summarization(data: Path, name: str) -> bool:
    """Whether the set is one of documents and summaries."""
    return (data / FOLDER / name).is_dir()


def _references(value: Any, where: str) -> tuple[str, ...]:
    many = value if isinstance(value, list) else [value]
    if not many:
        raise DataError(f"{where} is empty, expected at least one summary")
    return tuple(_text(one, where) for one in many)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where} is {value!r}, expected a string")
    return value
