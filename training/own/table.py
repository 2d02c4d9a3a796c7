"""A user's table, CSV, TSV, JSON lines or Parquet by suffix: each row's text and label, and the place it has."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from training.errors import DataError
from training.own.faults import Faults, Place
from training.own.source import PACKED, Source, decode, read_bytes

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = ".parquet"
# csv's own limit of 128 KiB a field is there for what never ends; here the file is in memory already.
MAX_FIELD = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Form:
    """How to read a table: the two columns, and for text files the separator, quotes and encoding."""

    text_column: str = "text"
    label_column: str = "label"
    separator: str | None = None
    quotes: bool = True
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Record:
    """One row's two values as the file has them; None where there is none."""

    place: Place
    text: Any
    label: Any


def read(path: Path, form: Form, faults: Faults) -> list[Record]:
    """Return the rows in file order and note in `faults` those that are none.

    `DataError` at once where nothing can be read: no such file, another format, no such column.
    """
    reader = _reader(path)
    raw = read_bytes(path)
    return reader(path, raw, form, faults)


def _reader(path: Path) -> Callable[[Path, bytes, Form, Faults], list[Record]]:
    suffix = kind_of(path)
    if suffix in SEPARATORS:
        return _delimited
    if suffix in JSON_LINES:
        return _json_lines
    if suffix == PARQUET:
        return _parquet
    known = ", ".join((*SEPARATORS, *JSON_LINES, PARQUET))
    advice = "; save the sheet as CSV UTF-8" if suffix in {".xlsx", ".xls", ".ods"} else ""
    raise DataError(f"{path}: cannot tell its format; expected {known}, the text ones also with .gz or .xz{advice}")


def kind_of(path: Path) -> str:
    """Return the suffix that tells the format, without that of the packing."""
    name = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return name.suffix.lower()


def _delimited(path: Path, raw: bytes, form: Form, faults: Faults) -> list[Record]:
    source = decode(path, raw, form.encoding)
    separator = form.separator or SEPARATORS[kind_of(path)]
    rows = _split(source, separator, form, faults)
    first = next(rows, None)
    if first is None:
        faults.file("no rows")
        return []
    header = [name.strip() for name in first[1]]
    at = [_column(path, name, header, separator) for name in (form.text_column, form.label_column)]
    records, blank = [], list[Place]()
    for place, fields in rows:
        if not any(field.strip() for field in fields):
            blank.append(place)
            continue
        for empty in blank:
            faults.row(empty, "empty row", "nothing in it")
        blank.clear()
        if len(fields) != len(header):
            faults.row(place, "wrong number of fields", _miscounted(len(fields), len(header), separator))
            continue
        records.append(Record(place, *(fields[index] for index in at)))
    # Blank rows at the end say nothing, so they are no fault.
    return records


def _split(source: Source, separator: str, form: Form, faults: Faults) -> Iterator[tuple[Place, list[str]]]:
    """Yield each row's place and fields; numbers are a spreadsheet's, so that the header comes first, as row 1."""
    csv.field_size_limit(MAX_FIELD)
    lines = source.text.removesuffix("\n").split("\n")
    reader = csv.reader(
        (f"{line}\n" for line in lines),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if form.quotes else csv.QUOTE_NONE,
        strict=True,
    )
    row = 0
    while True:
        row += 1
        place = Place(row, reader.line_num + 1)
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            _malformed(faults, place, str(error), len(lines) - place.line)
            continue
        if reason := source.wrong_between(place.line, reader.line_num):
            faults.row(place, "not UTF-8", reason)
        else:
            yield place, fields
    if source.hint:
        faults.advice.append(source.hint)


def _malformed(faults: Faults, place: Place, message: str, after: int) -> None:
    if message == "unexpected end of data":
        faults.file(f"{place}: a quote is opened and never closed, which swallows the {after} lines after it")
    else:
        faults.row(place, "malformed row", f"{message}; double a quote inside quotes, or give --no-quotes")


def _miscounted(found: int, wanted: int, separator: str) -> str:
    why = f"; a text that holds {separator!r} stands in double quotes" if found > wanted else ""
    return f"{found} field{'s' if found != 1 else ''}, expected {wanted} as in the header{why}"


def _column(path: Path, name: str, header: list[str], separator: str) -> int:
    if header.count(name) == 1:
        return header.index(name)
    if name in header:
        raise DataError(f"{path}: the header has {header.count(name)} columns {name!r}; expected one")
    other = next((sign for sign in ";\t|," if len(header) == 1 and sign in header[0] and sign != separator), None)
    advice = f"; it looks separated by {other!r}: give --separator {other!r}" if other else ""
    raise DataError(f"{path}: no column {name!r}; it has {', '.join(map(repr, header))}{advice}")


def _json_lines(path: Path, raw: bytes, form: Form, faults: Faults) -> list[Record]:
    source = decode(path, raw, form.encoding)
    columns: dict[str, None] = {}
    objects = []
    for number, line in enumerate(source.text.rstrip().split("\n"), 1):
        place = Place(number, number)
        if reason := source.wrong_between(number, number):
            faults.row(place, "not UTF-8", reason)
        elif (found := _object(line, place, faults)) is not None:
            columns |= dict.fromkeys(found)
            objects.append((place, found))
    if source.hint:
        faults.advice.append(source.hint)
    if objects:
        for name in (form.text_column, form.label_column):
            _column(path, name, list(columns), ",")
    return [Record(place, one.get(form.text_column), one.get(form.label_column)) for place, one in objects]


def _object(line: str, place: Place, faults: Faults) -> dict[str, Any] | None:
    if not line.strip():
        faults.row(place, "empty row", "nothing in it")
        return None
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        faults.row(place, "not JSON", f"not JSON: {error.msg} at character {error.colno}")
        return None
    if not isinstance(found, dict):
        faults.row(place, "not JSON", f"{line.strip()[:40]!r} is no JSON object")
        return None
    return found


def _parquet(path: Path, raw: bytes, form: Form, faults: Faults) -> list[Record]:
    del faults  # a Parquet file is whole or cannot be read
    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(raw))
        names = (form.text_column, form.label_column)
        for name in names:
            _column(path, name, file.schema_arrow.names, ",")
        table = file.read(columns=list(dict.fromkeys(names)))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file: {error}") from error
    pairs = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    return [Record(Place(at, at), *pair) for at, pair in enumerate(pairs, 1)]
