"""Small tables written by the tests, in every format."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

Row = tuple[str, str]
COLUMNS = ("review", "stars")

WORDS = {"1": ("bad", "awful", "poor"), "3": ("plain", "usual", "common"), "5": ("good", "lovely", "superb")}


def rows(count: int) -> list[Row]:
    """Return distinct texts, in turn of each label, the label told by one word."""
    labels = sorted(WORDS)
    made = []
    for at in range(count):
        label = labels[at % len(labels)]
        made.append((f"the {WORDS[label][at // 3 % 3]} meal of day {at}, we said", label))
    return made


def delimited(lines: Sequence[Sequence[str]], separator: str = ",", header: Sequence[str] = COLUMNS) -> bytes:
    """Return rows as CSV."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([header, *lines])
    return out.getvalue().encode()


def json_lines(lines: Sequence[Sequence[object]]) -> bytes:
    """Return rows as JSON lines."""
    return "".join(json.dumps(dict(zip(COLUMNS, line, strict=True))) + "\n" for line in lines).encode()


def parquet(lines: Sequence[Row], path: Path) -> Path:
    """Write rows as Parquet, the labels as the categories that data frames have."""
    texts, labels = zip(*lines, strict=True)
    columns = [pa.array(texts), pa.array(labels).dictionary_encode()]
    pyarrow.parquet.write_table(pa.table(columns, names=list(COLUMNS)), path)
    return path


def written(path: Path, raw: bytes) -> Path:
    """Write bytes and return the path."""
    path.write_bytes(raw)
    return path
