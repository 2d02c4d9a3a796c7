"""Labelled text from local JSON lines: <data>/sentiment/<set>/<split>.jsonl, plain or xz-compressed."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets

from training.errors import DataError

FOLDER = "sentiment"
SUFFIXES = (".jsonl.xz", ".jsonl")
COLUMNS = ("text", "label")
# weibo_senti_100k was labelled by its bracketed emoticons: what they leave is the text that a model is to judge.
LEAKS = {"weibo_senti_100k_part": re.compile(r"\[[^\[\]]{1,8}\]")}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one split, in file order."""

    texts: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.texts)


def read_split(data: Path, name: str, split: str, labels: Collection[str]) -> Rows:
    """Read one split; `DataError` names the missing set, split or column, or the label that is none of `labels`.

    What gives a set's labels away is taken out of its texts (`LEAKS`), in training and in every score alike.
    """
    rows = _read_rows(data, name, split)
    unknown = sorted(set(rows.labels) - set(labels))
    if unknown:
        raise DataError(f"{file_of(data, name, split)}: label {unknown[0]!r} is none of {', '.join(labels)}")
    return rows


def read_texts(data: Path, folder: str, name: str, split: str, field: str) -> list[str]:
    """Read one column of a split, whatever else it holds; `DataError` names the missing set, split or column."""
    path = file_of(data, name, split, folder)
    table = read_table(path)
    if field not in table.column_names:
        raise DataError(f"{path}: no column {field!r}; it has {', '.join(sorted(table.column_names))}")
    leak = LEAKS.get(name)
    texts = [text for text in table[field] if isinstance(text, str)]
    return texts if leak is None else [leak.sub("", text) for text in texts]


def _read_rows(data: Path, name: str, split: str) -> Rows:
    path = file_of(data, name, split)
    table = read_table(path)
    missing = [column for column in COLUMNS if column not in table.column_names]
    if missing:
        raise DataError(f"{path}: no column {missing[0]!r}; it has {', '.join(sorted(table.column_names))}")
    rows = Rows(texts=list(table["text"]), labels=list(table["label"]))
    if not len(rows):
        raise DataError(f"{path}: no rows")
    for column, values in (("text", rows.texts), ("label", rows.labels)):
        wrong = next((at for at, value in enumerate(values) if not isinstance(value, str)), None)
        if wrong is not None:
            raise DataError(f"{path}: row {wrong + 1}: {column} is {values[wrong]!r}, expected a string")
    leak = LEAKS.get(name)
    if leak is None:
        return rows
    return Rows([leak.sub("", text) for text in rows.texts], rows.labels)


def file_of(data: Path, name: str, split: str, kind: str = FOLDER) -> Path:
    """Return the file of a split; `DataError` names what is missing and what there is."""
    root = data / kind
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; SLUICE_DATA must name the folder that holds {kind}/<set>/")
    folder = root / name
    if not folder.is_dir():
        known = ", ".join(sorted(one.name for one in root.iterdir() if one.is_dir()))
        raise DataError(f"{folder}: no data set {name!r}; there are: {known or 'none'}")
    for suffix in SUFFIXES:
        if (path := folder / f"{split}{suffix}").is_file():
            return path
    known = ", ".join(sorted({one.name.split(".")[0] for one in folder.glob("*.jsonl*")}))
    raise DataError(f"{folder}: no split {split!r} as {' or '.join(SUFFIXES)}; there are: {known or 'none'}")


def read_table(path: Path) -> datasets.Dataset:
    """Read JSON lines into a table of columns; `DataError` where they are malformed."""
    # The Arrow copy lives in memory and its cache is dropped at once: a changed file is never read stale.
    datasets.disable_progress_bars()
    try:
        with TemporaryDirectory(prefix="sluice-data-") as cache:
            return datasets.Dataset.from_json(str(path), cache_dir=cache, keep_in_memory=True)
    except datasets.exceptions.DatasetGenerationError as error:
        raise DataError(f"{path}: not JSON lines: {error.__cause__ or error}") from error
