"""gzip in a body without a bound: piece by piece as it comes, and never much more than was sent."""

import zlib
from collections.abc import Iterator

from app.errors import BodyTooLarge, MalformedEncoding

GZIP_WBITS = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 1 << 14
_MOST_TIMES = 50
"""Lines of JSON shrink to a tenth; what shrinks to a fiftieth costs its sender nothing and this side much."""


class Unpacking:
    """One body; members may follow one another, as ``cat`` makes them."""

    def __init__(self, free_bytes: int) -> None:
        """``free_bytes`` may be made of however little."""
        self._free_bytes = free_bytes
        self._taken = self._made = 0
        self._member = zlib.decompressobj(GZIP_WBITS)
        self._is_whole = False

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Yield what ``packed`` adds, a small piece at a time; ``MalformedEncoding`` or ``BodyTooLarge``."""
        self._taken += len(packed)
        made = b""
        while packed or len(made) == _PIECE_BYTES:  # a full piece may have left more behind
            made = self._decompressed(packed)
            self._made += len(made)
            if self._made > max(self._free_bytes, _MOST_TIMES * self._taken):
                raise BodyTooLarge(
                    f"the body unpacks to more than {_MOST_TIMES} times what was sent; expected lines that differ"
                )
            packed = self._member.unconsumed_tail
            self._is_whole = self._member.eof
            if self._is_whole and self._member.unused_data:
                packed = self._member.unused_data
                self._member = zlib.decompressobj(GZIP_WBITS)
            if made:
                yield made

    def end(self) -> None:
        """Raise ``MalformedEncoding`` where the body ends too early."""
        if not self._is_whole:
            raise MalformedEncoding("the body ends inside its gzip member; expected all of it")

    def _decompressed(self, packed: bytes) -> bytes:
        try:
            return self._member.decompress(packed, _PIECE_BYTES)
        except zlib.error as broken:
            raise MalformedEncoding("the body is not gzip, which its Content-Encoding says; expected gzip") from broken
