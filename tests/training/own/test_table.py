"""Tables from disk."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from tests.training.own.tables import COLUMNS, delimited, json_lines, parquet, written
from training.errors import DataError
from training.own.faults import Faults
from training.own.table import Form, read

FORM = Form(*COLUMNS)
ROWS = [("a, b", "1"), ('say "x"', "5"), ("two\nlines", "1"), ("好", "5")]


def pairs(path: Path, form: Form = FORM) -> list[tuple[object, object]]:
    faults = Faults(path)
    found = [(one.text, one.label) for one in read(path, form, faults)]
    assert faults.lines() == []
    return found


def complaints(path: Path, form: Form = FORM) -> list[str]:
    faults = Faults(path)
    read(path, form, faults)
    return [*faults.lines(), *faults.advice]


def test_each_format_reads_the_same_rows(tmp_path: Path) -> None:
    comma = delimited(ROWS)
    found = [
        pairs(written(tmp_path / "t.csv", comma)),
        pairs(written(tmp_path / "t.csv.gz", gzip.compress(comma))),
        pairs(written(tmp_path / "bom.csv", b"\xef\xbb\xbf" + comma)),
        pairs(written(tmp_path / "crlf.csv", delimited(ROWS).replace(b"\r\n", b"\n"))),
        pairs(written(tmp_path / "t.tsv.xz", lzma.compress(delimited(ROWS, "\t")))),
        pairs(written(tmp_path / "t.jsonl", json_lines(ROWS))),
        pairs(written(tmp_path / "t.ndjson.xz", lzma.compress(json_lines(ROWS)))),
        pairs(parquet(ROWS, tmp_path / "t.parquet")),
    ]
    assert found == [ROWS] * len(found)


def test_a_row_has_a_spreadsheets_number_and_its_line_where_that_differs(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", delimited(ROWS))
    assert [str(one.place) for one in read(path, FORM, Faults(path))] == ["row 2", "row 3", "row 4", "row 5 (line 6)"]


def test_semicolons_quotes_and_encodings_are_options(tmp_path: Path) -> None:
    raw = 'stars;review\n1;a "b;\n5;第\n'.encode("gb18030")
    form = Form("review", "stars", separator=";", quotes=False, encoding="gb18030")
    assert complaints(written(tmp_path / "t.csv", raw), form) == [
        "row 2: 3 fields, expected 2 as in the header; a text that holds ';' stands in double quotes"
    ]
    assert pairs(written(tmp_path / "t.csv", raw.replace(b"b;", b"b")), form) == [('a "b', "1"), ("第", "5")]


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("t.csv", b"", "t.csv: the file is empty"),
        ("t.csv.gz", b"no gzip", r"t.csv.gz: not a whole .gz file"),
        ("t.xlsx", b"PK", "cannot tell its format; expected .csv, .* save the sheet as CSV UTF-8"),
        ("t.csv", b"text,stars\na,1\n", "no column 'review'; it has 'text', 'stars'"),
        ("t.csv", b"review;stars\na;1\n", "no column 'review'; .* separated by ';': give --separator ';'"),
        ("t.csv", b"review,stars,review\na,1,b\n", "the header has 2 columns 'review'; expected one"),
        ("t.jsonl", b'{"review": "a"}\n', "no column 'stars'; it has 'review'"),
        ("t.parquet", b"PAR?", "t.parquet: not a Parquet file"),
        ("t.csv", "review,stars\n".encode("utf-16"), "looks like UTF-16, .* give --encoding utf-16"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(written(tmp_path / name, raw), FORM, Faults(tmp_path / name))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: cannot be read: No such file"):
        read(tmp_path / "none.csv", FORM, Faults(tmp_path / "none.csv"))


def test_an_encoding_that_is_none_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "review,stars\ngut,5\nschön,5\n".encode("cp1252"))
    with pytest.raises(DataError, match="'klingon': not a known encoding"):
        read(path, Form(*COLUMNS, encoding="klingon"), Faults(path))
    with pytest.raises(DataError, match="line 3: byte 0xf6 at offset 22 is not ascii"):
        read(path, Form(*COLUMNS, encoding="ascii"), Faults(path))


def test_a_row_with_too_many_or_too_few_fields_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"review,stars\ngood, really,5\nfine,3\nbad\n")
    assert complaints(path) == [
        "row 2: 3 fields, expected 2 as in the header; a text that holds ',' stands in double quotes",
        "row 4: 1 field, expected 2 as in the header",
    ]


def test_an_empty_row_is_named_and_those_at_the_end_are_not(tmp_path: Path) -> None:
    assert complaints(written(tmp_path / "t.csv", b"review,stars\ngood,5\n\n,\nbad,1\n\n\n")) == [
        "row 3: nothing in it",
        "row 4: nothing in it",
    ]
    assert complaints(written(tmp_path / "t.jsonl", json_lines([("a", "1")]) + b"\n\n")) == []


def test_a_quote_that_is_never_closed_tells_where_it_opened(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b'review,stars\ngood,5\n"bad,1\nfine,3\nfine,3\n')
    assert complaints(path) == ["row 3: a quote is opened and never closed, which swallows the 2 lines after it"]


def test_a_quote_inside_quotes_is_a_malformed_row_and_the_next_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b'review,stars\n"a "b" c",5\nfine,3\n')
    faults = Faults(path)
    assert [one.text for one in read(path, FORM, faults)] == ["fine"]
    assert faults.left_out() == {"malformed row": 1}
    assert "row 2: ',' expected after '\"'" in faults.lines()[0]


def test_lines_that_are_no_json_object_are_named(tmp_path: Path) -> None:
    good = json.dumps({"review": "a", "stars": 5}).encode()
    path = written(tmp_path / "t.jsonl", b"\n".join([good, b'{"review": "a" "stars"', b"[1, 2]", b"", good]))
    assert complaints(path) == [
        "row 2: not JSON: Expecting ',' delimiter at character 16",
        "row 3: '[1, 2]' is no JSON object",
        "row 4: nothing in it",
    ]


def test_a_byte_that_is_not_utf_8_is_named_with_what_it_may_be(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"review,stars\nfine,3\ncaf\xe9 au lait,5\n")
    assert complaints(path) == [
        "row 3: byte 0xe9 at offset 23 is not UTF-8; read as cp1252 it says 'é au lait,5'",
        "If the whole file is cp1252, give --encoding cp1252.",
    ]


def test_chinese_that_is_not_utf_8_is_told_from_western_letters(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "review,stars\n房间很大，早餐也好,5\n".encode("gbk"))
    assert complaints(path)[-1] == "If the whole file is gb18030, give --encoding gb18030."


def test_mixed_encodings_are_named_as_such(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "review,stars\ncafé,3\n".encode() + "thé,5\n".encode("cp1252"))
    assert complaints(path) == [
        "row 3: byte 0xe9 at offset 23 is not UTF-8; read as cp1252 it says 'é,5'",
        "The file mixes encodings: 1 other line holds UTF-8 beyond ASCII. Save it as one.",
    ]


def test_long_fields_are_read_whole(tmp_path: Path) -> None:
    text = "word " * 50_000
    assert pairs(written(tmp_path / "t.csv", delimited([(text, "1")]))) == [(text, "1")]
