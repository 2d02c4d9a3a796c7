"""Which form a file has, by its suffix."""

from importlib import import_module
from pathlib import Path
from typing import Any

from app.corpus.block import Sink, Source
from app.corpus.plain import CsvSink, CsvSource, JsonlSink, JsonlSource
from app.errors import StartupError

SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")


def source(path: Path, column: str) -> Source:
    """Open a file whose texts are in ``column``.

    ``StartupError`` where there is none, its form is none of those known, or it has no such column.
    """
    opened = _opened(path, column)
    if column not in opened.columns:
        opened.close()
        raise StartupError(
            f"{path.name} has the columns {', '.join(opened.columns)}; expected {column} among them: --text-column"
        )
    return opened


def sink(path: Path, columns: list[str], prefix: str) -> Sink:
    """Return how a file of this name is written; ``columns`` are all of its own and of the answer's."""
    form = form_of(path)
    if form == "csv":
        return CsvSink(columns)
    if form == "jsonl":
        return JsonlSink()
    made: Sink = _parquet(path).ParquetSink(prefix)
    return made


def form_of(path: Path) -> str:
    """Return ``csv``, ``jsonl`` or ``parquet``."""
    if path.suffix not in SUFFIXES:
        raise StartupError(f"{path} ends with {path.suffix or 'no suffix'!r}; expected one of {', '.join(SUFFIXES)}")
    return "jsonl" if path.suffix == ".ndjson" else path.suffix[1:]


def _opened(path: Path, column: str) -> Source:
    form = form_of(path)
    try:
        if form == "csv":
            return CsvSource(path, column)
        if form == "jsonl":
            return JsonlSource(path, column)
        opened: Source = _parquet(path).ParquetSource(path, column)
    except OSError as broken:
        raise StartupError(f"{path} cannot be read: {broken.strerror or broken}") from broken
    return opened


def _parquet(path: Path) -> Any:
    try:
        return import_module("app.corpus.parquet")
    except ModuleNotFoundError as missing:
        raise StartupError(
            f"{path.name} needs {missing.name}; expected it installed: pip install 'sluice[bulk]'"
        ) from missing
