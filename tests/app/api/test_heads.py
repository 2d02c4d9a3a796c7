"""Which bytes are a head that is known: the same ones, with another length, and nothing else."""

from dataclasses import dataclass, field

import httptools
import pytest
from hypothesis import assume, given
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


@dataclass
class Read:
    """What the parser makes of bytes."""

    url: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    begun: int = 0
    complete: int = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() != b"content-length":
            self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


def read(data: bytes) -> Read:
    found = Read()
    parser = httptools.HttpRequestParser(found)
    parser.feed_data(data)
    assert parser.get_method() == b"POST"
    assert parser.should_keep_alive()
    return found


LINES = st.lists(
    st.tuples(
        st.sampled_from([b"Host", b"user-agent", b"ACCEPT", b"Content-Type", b"X-Request-Id", b"Referer"]),
        st.sampled_from([b": ", b":", b":  ", b" : ", b":\t"]),
        st.binary(max_size=20)
        | st.sampled_from([b"a", b"a b", b"a\r\n b", b"Content-Length: 3", b"a\nContent-Length: 3"]),
    ),
    max_size=4,
)
LENGTH_LINES = st.sampled_from([b"Content-Length: ", b"content-length:", b"CONTENT-LENGTH:  ", b"Content-length: "])


@given(
    before=LINES,
    after=LINES,
    length=LENGTH_LINES,
    bodies=st.tuples(st.binary(max_size=30), st.binary(max_size=30)),
    cut=st.tuples(st.integers(0, 200), st.integers(0, 3), st.binary(max_size=3)),
)
def test_what_is_known_is_what_the_parser_would_read(
    before: list[tuple[bytes, bytes, bytes]],
    after: list[tuple[bytes, bytes, bytes]],
    length: bytes,
    bodies: tuple[bytes, bytes],
    cut: tuple[int, int, bytes],
) -> None:
    first, next_one = (
        b"POST /v1/sentiment HTTP/1.1\r\n%b%b%d\r\n%b\r\n%b"
        % (
            b"".join(b"%b%b%b\r\n" % line for line in before),
            length,
            len(body),
            b"".join(b"%b%b%b\r\n" % line for line in after),
            body,
        )
        for body in bodies
    )
    try:
        let_in = read(first)
    except httptools.HttpParserError:
        assume(False)  # nothing is learned of what is no request
    assume((let_in.begun, let_in.complete, let_in.body) == (1, 1, bodies[0]))
    known = Known.learned(HEAD, first)
    at, removed, put = cut
    for data in (next_one, next_one[:at] + put + next_one[at + removed :]):
        body = None if known is None else known.body_of(data)
        if body is not None:
            again = read(data)
            assert (again.begun, again.complete, again.body) == (1, 1, body)
            assert (again.url, again.headers) == (let_in.url, let_in.headers)


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
