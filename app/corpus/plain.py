"""CSV and JSONL files, by the standard library and orjson."""

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from app.corpus.block import Block, Line, Record, cut, line_of
from app.errors import StartupError

_MAX_LINE_BYTES = 1 << 24
"""A longer line is a bad row: it is passed over and never held."""


class CsvSource:
    """Comma-separated rows under a header, in UTF-8."""

    def __init__(self, path: Path, column: str) -> None:
        csv.field_size_limit(_MAX_LINE_BYTES)
        self.total = path.stat().st_size
        self._file = path.open("rb")
        text = io.TextIOWrapper(self._file, "utf-8-sig", errors="surrogateescape", newline="")
        self._rows = csv.reader(text)
        self._column = column
        self.columns = next(self._rows, [])

    @property
    def position(self) -> int:
        """Bytes read."""
        return self.total if self._file.closed else self._file.tell()

    def blocks(self, skip: int) -> Iterator[Block]:
        """Yield the rows after the first ``skip``; empty lines are none."""
        return cut((self._line(row) for row in self._whole_rows() if row), skip)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _whole_rows(self) -> Iterator[list[str]]:
        try:
            yield from self._rows
        except csv.Error as broken:
            raise StartupError(f"line {self._rows.line_num} cannot be read as CSV: {broken}") from broken

    def _line(self, row: list[str]) -> Line:
        record = dict(zip(self.columns, row, strict=False))
        if len(row) != len(self.columns):
            return Line(record, trouble=f"{len(row)} fields; expected {len(self.columns)}, as the header")
        return line_of(record, self._column)


class JsonlSource:
    """A JSON object, or a text, a line."""

    def __init__(self, path: Path, column: str) -> None:
        self.total = path.stat().st_size
        self._file = path.open("rb")
        self._column = column
        first = self._record(self._file.readline(_MAX_LINE_BYTES))
        self.columns = list(first) if isinstance(first, dict) else [column]
        self._file.seek(0)

    @property
    def position(self) -> int:
        """Bytes read."""
        return self.total if self._file.closed else self._file.tell()

    def blocks(self, skip: int) -> Iterator[Block]:
        """Yield the rows after the first ``skip``; empty lines are none."""
        return cut(self._lines(), skip)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _lines(self) -> Iterator[Line]:
        while raw := self._file.readline(_MAX_LINE_BYTES):
            if len(raw) == _MAX_LINE_BYTES and not raw.endswith(b"\n"):
                while (rest := self._file.readline(_MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield Line({}, trouble=f"more than {_MAX_LINE_BYTES} bytes; expected at most so many")
            elif not raw.isspace():
                record = self._record(raw)
                yield line_of(record, self._column) if isinstance(record, dict) else Line({}, trouble=record)

    def _record(self, raw: bytes) -> Record | str:
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as broken:
            return f"not JSON ({broken}); expected an object or a text"
        if isinstance(value, str):
            return {self._column: value}
        return value if isinstance(value, dict) else f"a JSON {type(value).__name__}; expected an object or a text"


class JsonlSink:
    """A JSON object a line: the row's fields and the answer's."""

    def part(self, block: Block, kept: Sequence[int], answers: Sequence[Record]) -> bytes:
        """Return the lines of the rows at ``kept``."""
        rows = ({**block.lines[at].record, **answer} for at, answer in zip(kept, answers, strict=True))
        # what orjson gives holds on to the kilobyte that it was written in, and a copy does not: a quarter of the time
        return b"".join([orjson.dumps(row, default=str) + b"\n" for row in rows])

    def whole(self, parts: Sequence[Path], out: Path) -> None:
        """Write the parts one after the other."""
        with out.open("wb") as file:
            _append(parts, file)


class CsvSink:
    """A row under a header; what is neither a text nor a number is written as JSON."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def part(self, block: Block, kept: Sequence[int], answers: Sequence[Record]) -> bytes:
        """Return the rows at ``kept``, without a header."""
        written = io.StringIO()
        rows = csv.writer(written)
        for at, answer in zip(kept, answers, strict=True):
            row = {**block.lines[at].record, **answer}
            rows.writerow([_cell(row.get(column)) for column in self._columns])
        return written.getvalue().encode()

    def whole(self, parts: Sequence[Path], out: Path) -> None:
        """Write the header and the parts one after the other."""
        head = io.StringIO()
        csv.writer(head).writerow(self._columns)
        with out.open("wb") as file:
            file.write(head.getvalue().encode())
            _append(parts, file)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else orjson.dumps(value, default=str).decode()


def _append(parts: Sequence[Path], file: BinaryIO) -> None:
    for part in parts:
        with part.open("rb") as opened:
            shutil.copyfileobj(opened, file)
