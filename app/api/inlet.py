"""A request's body on its way in: so many bytes, in so much time, unpacked where it is packed."""

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope

from app.errors import BodyTooLarge, BodyTooSlow, MalformedEncoding

_DISCARD_BODIES = 16
"""How many times the limit is read and thrown away, so that the client lives to read why it was refused."""
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a body may be."""

    max_bytes: int
    """As it is sent, and once more unpacked."""
    timeout_s: float
    """For the whole."""
    gap_s: float
    """Between two pieces."""


class Inlet:
    """``receive`` that ends at the bounds, whatever the client said of the body."""

    def __init__(self, receive: Receive, bounds: Bounds, headers: Mapping[bytes, bytes]) -> None:
        self._receive = receive
        self._bounds = bounds
        self._headers = headers
        self._seen = 0
        self._ended = False
        self._until: float | None = None
        self._unpack = (
            _Unpacking(bounds.max_bytes) if headers.get(b"content-encoding", b"").lower() == b"gzip" else None
        )

    async def __call__(self) -> Message:
        """Return the next piece; ``BodyTooLarge``, ``BodyTooSlow`` or ``MalformedEncoding``."""
        if self._ended:
            return await self._receive()  # waits for the client to leave, as long as it takes
        message = await self._next()
        if message["type"] != "http.request":
            return message
        body = message.get("body", b"")
        self._ended = not message.get("more_body", False)
        self._seen += len(body)
        try:
            if self._seen > self._bounds.max_bytes:
                raise _too_large("more", self._bounds.max_bytes)
            if self._unpack is not None:
                return {**message, "body": self._unpack(body, last=self._ended)}
        except (BodyTooLarge, MalformedEncoding):
            await self._discard()
            raise
        return message

    def open(self, scope: Scope) -> None:
        """Make the scope what those behind are to see: of a body that is unpacked here, no longer packed."""
        if self._unpack is not None:
            gone = {b"content-encoding", b"content-length"}
            scope["headers"] = [header for header in scope["headers"] if header[0] not in gone]

    async def refuse_declared(self) -> None:
        """Raise ``BodyTooLarge`` for a Content-Length above the limit."""
        declared = self._headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) <= self._bounds.max_bytes:
            return
        if self._headers.get(b"expect", b"").lower() != b"100-continue":  # such a client waits before it sends
            await self._discard()
        raise _too_large(declared.decode("ascii"), self._bounds.max_bytes)

    async def _next(self) -> Message:
        """Wait for the next piece, and no longer than the bounds allow."""
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._bounds.timeout_s
        try:
            async with asyncio.timeout_at(min(self._until, now + self._bounds.gap_s)):
                return await self._receive()
        except TimeoutError as late:
            raise BodyTooSlow(
                f"the body was not whole after {self._seen} bytes; expected all of it within "
                f"{self._bounds.timeout_s:g} s, and no gap above {self._bounds.gap_s:g} s"
            ) from late

    async def _discard(self) -> None:
        left = self._bounds.max_bytes * _DISCARD_BODIES
        while not self._ended and left > 0:
            try:
                message = await self._next()
            except BodyTooSlow:
                return
            self._ended = message["type"] != "http.request" or not message.get("more_body", False)
            left -= len(message.get("body", b""))


class _Unpacking:
    """gzip, piece by piece; never more than the limit is made of it, whatever a small body would become."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._made = 0
        self._stream = zlib.decompressobj(_GZIP)

    def __call__(self, piece: bytes, *, last: bool) -> bytes:
        try:
            made = self._stream.decompress(piece, self._max_bytes - self._made + 1)
        except zlib.error as broken:
            raise MalformedEncoding("the body is not gzip, which its Content-Encoding says; expected gzip") from broken
        self._made += len(made)
        if self._made > self._max_bytes:
            raise _too_large("more, unpacked,", self._max_bytes)
        if self._stream.unused_data:
            raise MalformedEncoding("the body goes on after its gzip member; expected a single one")
        if last and not self._stream.eof:
            raise MalformedEncoding("the body ends inside its gzip member; expected all of it")
        return made


def _too_large(found: str, max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body has {found} bytes; expected at most {max_bytes}")
