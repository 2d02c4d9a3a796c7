"""Lines of JSON from bytes as they come, each bounded: what is too long is passed over, never held."""

import orjson

from app.bulk import Id, Row
from app.errors import InvalidLine, LineError, LineTooLong, MalformedLine

MEDIA_TYPE = "application/x-ndjson"
_BOM = b"\xef\xbb\xbf"
_FORM = 'a JSON string, or an object with "text" and perhaps "id"'


class Lines:
    """Cuts a body into rows; lines of white space alone are counted and have no row."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = b""
        self._passing = False
        self._index = 0

    def feed(self, data: bytes) -> list[Row]:
        """Return the rows of the lines that ``data`` ends."""
        *lines, rest = data.split(b"\n")
        rows = [self._row(line) for line in lines]
        self._rest += b"" if self._passing else rest
        if len(self._rest) > self._max_line_bytes:
            self._rest, self._passing = b"", True
        return [row for row in rows if row is not None]

    def end(self) -> list[Row]:
        """Return the row of a last line that no line break ends."""
        row = self._row(b"")
        return [row] if row is not None else []

    def _row(self, line: bytes) -> Row | None:
        index, line, passed = self._index, self._rest + line, self._passing
        self._index, self._rest, self._passing = index + 1, b"", False
        if passed or len(line) > self._max_line_bytes:
            return Row(
                index, error=LineTooLong(f"the line has more than {self._max_line_bytes} bytes, which it may have")
            )
        if not index:
            line = line.removeprefix(_BOM)
        return row_of(index, line) if line and not line.isspace() else None


def row_of(index: int, line: bytes) -> Row:
    """Return the row in one line; where there is none, a row with the error."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as broken:
        return Row(index, error=MalformedLine(f"the line is not JSON ({broken}); expected {_FORM}"))
    if isinstance(value, str):
        return Row(index, value)
    if not isinstance(value, dict):
        return Row(index, error=InvalidLine(f"the line is {_shown(value)}; expected {_FORM}"))
    name = value.get("id")
    named: Id = name if isinstance(name, str | int | float | bool) else None
    error = _complaint(value)
    return Row(index, id=named, error=error) if error is not None else Row(index, value["text"], named)


def _complaint(value: dict[str, object]) -> LineError | None:
    extra = value.keys() - {"text", "id"}
    if extra:
        return InvalidLine(f"{min(extra)} is no field of a line; expected {_FORM}")
    if not isinstance(value.get("text"), str):
        found = f"text is {_shown(value['text'])}" if "text" in value else "text is missing"
        return InvalidLine(f"{found}; expected {_FORM}")
    if isinstance(value.get("id"), dict | list):
        return InvalidLine(f"id is {_shown(value['id'])}; expected a string or a number")
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - an error's text stays one line
