"""Packed bodies come out as they were packed, a little at a time, and no more of it than was paid for."""

import gzip
import random

import pytest

from app.api.unpacking import Unpacking
from app.errors import BodyTooLarge, MalformedEncoding

RAW = "".join(f"line {random.Random(at).random()}\n" for at in range(5_000)).encode()  # noqa: S311 - texts, no secret


def unpack(packed: bytes, piece_bytes: int, free_bytes: int = 0) -> list[bytes]:
    unpacking = Unpacking(free_bytes)
    found = [
        made for at in range(0, len(packed), piece_bytes) for made in unpacking.feed(packed[at : at + piece_bytes])
    ]
    unpacking.end()
    return found


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000, 1 << 20])
def test_members_come_out_whole_in_small_pieces_however_they_are_cut(piece_bytes: int) -> None:
    found = unpack(gzip.compress(RAW) + gzip.compress(RAW[:100]), piece_bytes)
    assert b"".join(found) == RAW + RAW[:100]
    assert max(map(len, found)) <= 1 << 14


def test_a_little_that_becomes_much_is_refused_beyond_what_is_free() -> None:
    packed = gzip.compress(b"\n" * 1_000_000)
    assert sum(map(len, unpack(packed, 1000, free_bytes=1_000_000))) == 1_000_000
    with pytest.raises(BodyTooLarge, match="more than 50 times what was sent"):
        unpack(packed, 1000, free_bytes=999_999)


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_body_that_is_cut_short_or_followed_by_something_else_is_told(cut: int) -> None:
    with pytest.raises(MalformedEncoding, match="ends inside its gzip member"):
        unpack(gzip.compress(RAW)[:-cut], 1000)
    with pytest.raises(MalformedEncoding, match="is not gzip"):
        unpack(gzip.compress(RAW) + b"something else", 1000)


def test_no_body_at_all_is_not_a_whole_one() -> None:
    with pytest.raises(MalformedEncoding, match="ends inside"):
        unpack(b"", 1)
