"""A block of a file's rows: what becomes one part of the output."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

MAX_ROWS, MAX_CHARS = 4096, 1 << 22
"""A part is half a second of work or so: what a kill may cost, and what is in memory.

Before the first block is read and while the last is written nothing runs, so that larger ones cost a short file more.
"""

Record = dict[str, Any]


@dataclass(slots=True)  # a row: frozen, it would take three times as long to make
class Line:
    """One row of a file: its fields and its text, or why it has none."""

    record: Record
    text: str = ""
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring rows, the first of which is the ``first``-th of the file, counted from 1.

    ``whole`` is the block as its file's library holds it, where that keeps types which a record would lose.
    """

    first: int
    lines: Sequence[Line]
    whole: Any = None


class Source(Protocol):
    """A file that is read once, from its beginning to its end."""

    columns: list[str]
    """Its fields' names, in order."""
    total: int
    """Of what ``position`` counts: rows, or bytes."""

    @property
    def position(self) -> int:
        """How much of ``total`` has been read."""

    def blocks(self, skip: int) -> Iterator[Block]:
        """Yield the rows after the first ``skip``."""

    def close(self) -> None:
        """Let the file go."""


class Sink(Protocol):
    """A form of output: parts, and the whole that they make."""

    def part(self, block: Block, kept: Sequence[int], answers: Sequence[Record]) -> bytes:
        """Return a file of the rows at ``kept`` with their ``answers`` beside them."""

    def whole(self, parts: Sequence[Any], out: Any) -> None:
        """Write the parts (paths, in order) to ``out`` (a path) as one file."""


def cut(lines: Iterator[Line], skip: int) -> Iterator[Block]:
    """Cut lines into blocks of at most so many rows and characters."""
    first, chars, block = skip + 1, 0, list[Line]()
    for line in islice(lines, skip, None):
        block.append(line)
        chars += len(line.text)
        if len(block) == MAX_ROWS or chars > MAX_CHARS:
            yield Block(first, block)
            first, chars, block = first + len(block), 0, []
    if block:
        yield Block(first, block)


def line_of(record: Record, column: str) -> Line:
    """Return the row of a record whose text is in ``column``."""
    text = record.get(column)
    if not isinstance(text, str):
        found = repr(text)
        return Line(record, trouble=f"{column} is {found[:60]}; expected a text")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return Line(record, trouble=f"{column} is not UTF-8")
    return Line(record, text)
