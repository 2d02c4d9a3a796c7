"""Callers who each ask again, over the connection that they keep, as soon as they are answered; every answer is kept.

As cheap as a client can be, since it shares the machine: bytes made beforehand, no HTTP library.
"""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from benchmarks.openloop import read_answer, request

LOST = 0
"""The status of a request that was never answered."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one request: which body it had, when it was sent and answered, and how."""

    asked: int
    began: float
    """On ``time.monotonic``, in seconds, as ``ended`` is."""
    ended: float
    status: int
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The answer."""
        return json.loads(self.body)


Replies = list[Reply]


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Sequence[bytes], first: int, replies: Replies) -> None:
        self._requests, self._asked, self._replies = requests, first, replies
        self._transport: asyncio.Transport | None = None
        self._began, self._read = 0.0, b""
        self.is_last = False
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = transport  # type: ignore[assignment]
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Keep an answer once it is whole, and ask again."""
        self._read += data
        answer = read_answer(self._read)
        if answer is None:
            return
        self._keep(*answer)
        if self.is_last and self._transport is not None:
            self._began = 0.0
            self._transport.close()
        else:
            self._asked = (self._asked + 1) % len(self._requests)
            self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        """Note that what is under way is lost."""
        if self._began:
            self._keep(LOST, b"")
        self.ended.set()

    def _ask(self) -> None:
        if self._transport is not None:
            self._began, self._read = time.monotonic(), b""
            self._transport.write(self._requests[self._asked])

    def _keep(self, status: int, body: bytes) -> None:
        self._replies.append(Reply(self._asked, self._began, time.monotonic(), status, body))


async def crowd(
    url: str, connections: int, bodies: Sequence[Any], work: Callable[[Replies], None], path: str = "/v1/sentiment"
) -> Replies:
    """POST ``bodies`` in turn over so many connections for as long as ``work`` takes in a thread; return the replies.

    ``work`` gets the list of replies as it grows.
    """
    replies, callers = Replies(), list[_Caller]()
    parts = urlsplit(url)
    requests = [request(parts.netloc, body, path) for body in bodies]
    for at in range(connections):
        new = partial(_Caller, requests, at % len(requests), replies)
        _, made = await asyncio.get_running_loop().create_connection(new, str(parts.hostname), int(parts.port or 80))
        callers.append(made)
    try:
        await asyncio.to_thread(work, replies)
    finally:
        for caller in callers:
            caller.is_last = True
        await asyncio.gather(*(caller.ended.wait() for caller in callers))
    return replies
