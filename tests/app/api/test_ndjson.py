"""Lines of JSON become rows, whatever the pieces in which they come."""

import pytest

from app.api.ndjson import Lines
from app.bulk import Row

BODY = '"five"\n\n{"text": "七", "id": 7}\r\n"a\\nb"\n3'.encode()
ROWS = [(0, "five", None), (2, "七", 7), (3, "a\nb", None)]


def read(body: bytes, size: int, max_line_bytes: int = 100) -> list[Row]:
    lines = Lines(max_line_bytes)
    rows = [row for at in range(0, len(body), size) for row in lines.feed(body[at : at + size])]
    return rows + lines.end()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_rows_do_not_depend_on_how_the_body_is_cut(size: int) -> None:
    rows = read(BODY, size)
    assert [(row.index, row.text, row.id) for row in rows[:3]] == ROWS
    assert [(row.index, getattr(row.error, "code", None)) for row in rows[3:]] == [(4, "invalid_line")]


@pytest.mark.parametrize("size", [1, 5, 64, 1000])
def test_a_line_that_is_too_long_is_passed_over_and_the_next_is_read(size: int) -> None:
    rows = read(b'"' + b"a" * 200 + b'"\n"b"\n"' + b"c" * 300, size, max_line_bytes=20)
    assert [(row.index, row.text, getattr(row.error, "code", None)) for row in rows] == [
        (0, "", "line_too_long"),
        (1, "b", None),
        (2, "", "line_too_long"),
    ]


def test_a_line_that_never_ends_is_not_held() -> None:
    lines = Lines(100)
    for _ in range(1_000):
        assert lines.feed(b"a" * 60) == []
        assert len(lines._rest) <= 100


def test_a_line_of_just_the_limit_is_read() -> None:
    assert [row.text for row in read(b'"abc"\n', 4, max_line_bytes=5)] == ["abc"]


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n \n\t\n"])
def test_white_space_has_no_rows(body: bytes) -> None:
    assert read(body, 1) == []


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert [row.text for row in read('\ufeff"a"\n'.encode(), 2)] == ["a"]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (b"good", "malformed_line", "not JSON"),
        (b'"\xff"', "malformed_line", "not JSON"),
        (b'"\\ud800"', "malformed_line", "not JSON"),
        (b"[]", "invalid_line", r"the line is \[\]"),
        (b"null", "invalid_line", "the line is None"),
        (b"{}", "invalid_line", "text is missing"),
        (b'{"text": 3}', "invalid_line", "text is 3"),
        (b'{"text": "a", "ID": 1}', "invalid_line", "ID is no field"),
        (b'{"text": "a", "id": [1]}', "invalid_line", r"id is \[1\]"),
    ],
)
def test_what_is_no_text_is_the_lines_own_error(line: bytes, code: str, said: str) -> None:
    (row,) = read(line, 1000)
    assert row.error is not None
    assert row.error.code == code
    with pytest.raises(type(row.error), match=said):
        raise row.error


def test_an_error_keeps_the_id_that_could_be_read() -> None:
    (row,) = read(b'{"id": "x"}', 1000)
    assert row.id == "x"
