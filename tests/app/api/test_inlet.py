"""A body on its way in."""

import asyncio
import gzip
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Scope

from app.api.inlet import Bounds, Inlet
from app.errors import BodyTooLarge, BodyTooSlow, MalformedEncoding

GZIP = {b"content-encoding": b"gzip"}


def inlet(pieces: Sequence[bytes], headers: dict[bytes, bytes], max_bytes: int = 1000) -> Inlet:
    left = list(pieces)

    async def receive() -> Message:
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    return Inlet(receive, Bounds(max_bytes, timeout_s=10, gap_s=10), headers)


async def whole(body: Inlet) -> bytes:
    made, more = b"", True
    while more:
        message = await body()
        made += message["body"]
        more = message.get("more_body", False)
    return made


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(st.binary(max_size=1000), st.lists(st.integers(0, 1000), max_size=5), st.integers(0, 9))
async def test_any_gzip_in_any_pieces_is_what_was_packed(body: bytes, places: list[int], level: int) -> None:
    assert await whole(inlet(cut(gzip.compress(body, level), places), GZIP, 2000)) == body


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
async def test_any_bytes_are_gzip_or_refused_by_name(body: bytes, places: list[int]) -> None:
    with pytest.raises(MalformedEncoding):
        await whole(inlet(cut(body, places), GZIP))


@given(st.integers(0, 60))
async def test_a_gzip_that_is_cut_short_is_refused_wherever_it_is_cut(at: int) -> None:
    packed = gzip.compress(b"a good film and a bad one " * 20)
    with pytest.raises(MalformedEncoding):
        await whole(inlet([packed[: min(at, len(packed) - 1)]], GZIP))


@pytest.mark.parametrize(("made", "fits"), [(1000, True), (1001, False), (500_000, False)])
async def test_the_limit_is_of_what_is_unpacked_to_the_byte(made: int, fits: bool) -> None:  # noqa: FBT001 - a case
    body = inlet([gzip.compress(b"a" * made)], GZIP)
    if fits:
        assert len(await whole(body)) == made
    else:
        with pytest.raises(BodyTooLarge, match="unpacked"):
            await whole(body)


async def test_what_is_not_packed_is_left_alone_and_its_headers_too() -> None:
    body = inlet([b"ab", b"", b"c"], {})
    scope: Scope = {"headers": [(b"content-length", b"3")]}
    body.open(scope)
    assert scope["headers"] == [(b"content-length", b"3")]
    assert await whole(body) == b"abc"


async def test_those_behind_see_a_body_that_is_not_packed() -> None:
    scope: Scope = {"headers": [(b"content-length", b"3"), (b"content-encoding", b"gzip"), (b"a", b"b")]}
    inlet([b""], GZIP).open(scope)
    assert scope["headers"] == [(b"a", b"b")]


async def test_a_body_that_does_not_come_is_too_slow() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(BodyTooSlow, match="after 0 bytes"):
        await Inlet(never, Bounds(10, timeout_s=0.02, gap_s=5), {})()
