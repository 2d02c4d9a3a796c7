"""Which bytes are a head that is known: the same ones, with another length, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.heads import Head, Known

BEFORE = b"POST /v1/sentiment HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\n"
AFTER = b"\r\nAccept: */*\r\n\r\n"
HEAD = Head("/v1/sentiment", "sentiment", {}, is_open=True, is_hurried=False, request_id=None)


def sent(body: bytes, length: bytes | None = None, name: bytes = b"Content-Length: ") -> bytes:
    return BEFORE + name + (b"%d" % len(body) if length is None else length) + AFTER + body


def learned(data: bytes) -> Known:
    known = Known.learned(HEAD, data)
    assert known is not None
    return known


@given(body=st.binary(max_size=200))
def test_a_head_is_known_with_any_body_that_is_as_long_as_it_says(body: bytes) -> None:
    assert learned(sent(b"x" * 100)).body_of(sent(body)) == body


@given(at=st.integers(0, len(sent(b"a body"))), byte=st.binary(min_size=0, max_size=2))
def test_a_head_in_which_anything_else_is_changed_is_not_known(at: int, byte: bytes) -> None:
    good = sent(b"a body")
    head = len(good) - len(b"a body")
    changed = good[:at] + byte + good[at + 1 :]
    if changed != good and at < head:
        assert learned(good).body_of(changed) is None


@pytest.mark.parametrize(
    "data",
    [
        sent(b"", b"6"),
        sent(b"a body and more", b"6"),
        sent(b"a body", b"5"),
        sent(b"a body", b"06"),
        sent(b"a body", b"+6"),
        sent(b"a body", b" 6"),
        sent(b"a body", b"6 "),
        sent(b"a body", b"6, 6"),
        sent(b"a body", b"6\r\nContent-Length: 6"),
        sent(b"a body", b"6\r\nTransfer-Encoding: chunked"),
        sent(b"a body", b"6\n"),
        sent(b"a body", b"0x6"),
        sent(b"a body", b""),
        sent(b"a body") * 2,
        b"\r\n" + sent(b"a body"),
        sent(b"a body")[:-1],
        sent(b"a body")[: len(BEFORE)],
        sent(b"a body", name=b"content-length: "),
        b"",
    ],
)
def test_what_differs_from_what_was_parsed_is_left_to_the_parser(data: bytes) -> None:
    known = learned(sent(b"b body" * 20))
    assert known.body_of(sent(b"a body")) == b"a body"
    assert known.body_of(data) is None


def test_a_longer_head_than_was_let_in_is_not_known() -> None:
    assert learned(sent(b"x" * 10)).body_of(sent(b"x" * 99)) == b"x" * 99
    assert learned(sent(b"x" * 10)).body_of(sent(b"x" * 100)) is None


@pytest.mark.parametrize(
    "data",
    [
        sent(b"a body", b"5"),
        sent(b"a body", b"06"),
        sent(b"a body") * 2,
        b"\r\n" + sent(b"a body"),
        sent(b"a body").replace(b"\r\nHost", b"\nHost"),
        sent(b"a body", name=b" Content-Length: "),
        sent(b"a body", name=b"X-Content-Length: "),
        sent(b"a body", name=b"Cookie: " + b"a" * 2048 + b"\r\nContent-Length: "),
        BEFORE + AFTER[2:] + b"a body",
    ],
    ids=[
        *("more than it says", "a leading zero", "two requests", "an empty line before it", "a bare line feed"),
        *("a folded line", "another header", "a very long head", "no length"),
    ],
)
def test_what_is_not_one_request_of_a_usual_form_is_not_learned(data: bytes) -> None:
    assert Known.learned(HEAD, data) is None
