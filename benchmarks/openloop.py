"""An open loop of requests: they start when they start, whether or not those before are answered.

A closed loop waits for its answers, so that a service that is too slow is asked less, and its worst waits are never
seen. Here arrivals are a Poisson process, latency counts from the intended start, and a connection is opened wherever
none is free. As cheap as a client can be, since it shares the machine: bytes made beforehand, no HTTP library, what is
due within a millisecond sent in one turn of the loop.

python -m benchmarks.openloop HOST PORT KIND RATE:SECONDS [RATE:SECONDS ...]
"""

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop

from benchmarks.texts import texts

_LATE_S = 10.0
"""How long answers may still come after the last start."""
_LOOKS = 100
_MOST_CONNECTIONS = 4000
_AT_ONCE = 32
"""Requests sent before answers are looked for, however late they are."""
_CLOCK_MS = 1e-3
"""What the event loop's clock tells apart."""
_LOST = 0
"""The status of a request that was never answered."""


@dataclass(slots=True)
class Call:
    """A request: the segment it belongs to, when it was to start, was sent and was answered, and how."""

    segment: int
    intended: float
    sent: float = 0.0
    done: float = 0.0
    status: int = _LOST


@dataclass(frozen=True, slots=True)
class Segment:
    """So many requests a second for so long."""

    rate: float
    seconds: float

    @classmethod
    def of(cls, word: str) -> "Segment":
        """Read ``RATE:SECONDS``."""
        rate, _, seconds = word.partition(":")
        return cls(float(rate), float(seconds))


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, free: list["_Connection"]) -> None:
        self._free = free
        self._transport: asyncio.Transport | None = None
        self._call: Call | None = None
        self._read = b""
        self._next: tuple[Call, bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what waits for the connection."""
        self._transport = transport  # type: ignore[assignment]
        if self._next is not None:
            self.send(*self._next)

    def connection_lost(self, _: Exception | None) -> None:
        """Leave the call unanswered."""
        self._transport = None

    def send(self, call: Call, request: bytes) -> None:
        """Send a request, at once or as soon as the connection is there."""
        if self._transport is None:
            self._next = call, request
            return
        self._call, self._read = call, b""
        call.sent = time.perf_counter()
        self._transport.write(request)

    @property
    def lost(self) -> bool:
        """Whether it cannot be used again."""
        return self._transport is None

    def data_received(self, data: bytes) -> None:
        """Note the answer when it is whole."""
        self._read = self._read + data if self._read else data
        answer = read_answer(self._read)
        if answer is not None and self._call is not None:
            self._call.status, self._call.done = answer[0], time.perf_counter()
            self._call, self._read = None, b""
            self._free.append(self)


def read_answer(data: bytes) -> tuple[int, bytes] | None:
    """Return an answer's status and body once all of it is there; its length must be told."""
    head, split, body = data.partition(b"\r\n\r\n")
    if not split:
        return None
    at = head.lower().find(b"content-length:")
    return (int(head[9:12]), body) if len(body) >= int(head[at + 15 :].split(b"\r\n", 1)[0]) else None


@dataclass(slots=True)
class OpenLoop:
    """Requests of mixed texts to one address."""

    host: str
    port: int
    requests: Sequence[bytes]
    started: float = 0.0
    """When the first segment began, on ``time.perf_counter``."""
    _free: list[_Connection] = field(default_factory=list)
    _opened: int = 0
    _opening: set[asyncio.Task[object]] = field(default_factory=set)

    async def run(self, segments: Sequence[Segment], seed: int = 7) -> list[Call]:
        """Start what the segments say, one after the other without a gap, and return every call."""
        calls = _arrivals(segments, random.Random(seed))  # noqa: S311 - a reproducible load, no secret
        self.started = time.perf_counter()
        for call in calls:
            call.intended += self.started
        at = 0
        while at < len(calls):
            until = min(len(calls), at + _AT_ONCE)
            while at < until and calls[at].intended <= time.perf_counter():
                self._start(calls[at], self.requests[at % len(self.requests)])
                at += 1
            ahead = calls[at].intended - time.perf_counter() if at < len(calls) else 0.0
            await asyncio.sleep(max(ahead, _CLOCK_MS) if ahead > 0 else 0)
        for _ in range(_LOOKS):
            if all(call.done for call in calls):
                break
            await asyncio.sleep(_LATE_S / _LOOKS)
        return calls

    def _start(self, call: Call, request: bytes) -> None:
        while self._free:
            connection = self._free.pop()
            if not connection.lost:
                connection.send(call, request)
                return
        if self._opened >= _MOST_CONNECTIONS:
            return
        self._opened += 1
        connection = _Connection(self._free)
        connection.send(call, request)
        work = asyncio.get_running_loop().create_connection(lambda: connection, self.host, self.port)
        task: asyncio.Task[object] = asyncio.ensure_future(work)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)


def _arrivals(segments: Sequence[Segment], numbers: random.Random) -> list[Call]:
    calls, begins = [], 0.0
    for at, segment in enumerate(segments):
        now = begins + numbers.expovariate(segment.rate)
        while now < begins + segment.seconds:
            calls.append(Call(at, now))
            now += numbers.expovariate(segment.rate)
        begins += segment.seconds
    return calls


def requests_of(kind: str, host: str, path: str = "/v1/sentiment") -> list[bytes]:
    """Return whole requests about texts of one kind, a text each."""
    return [request(host, {"inputs": text}, path) for text in texts(kind)]


def request(host: str, body: object, path: str = "/v1/sentiment") -> bytes:
    """Return a whole request that posts ``body`` as JSON."""
    raw = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(raw) + raw


def main(host: str, port: str, kind: str, *words: str) -> None:
    """Print one JSON line.

    It says when the load began, on the machine's monotonic clock, what CPU seconds it took, and of each call its
    segment, its intended start, sending and end, in seconds since, and its status.
    """
    segments = [Segment.of(word) for word in words]
    loop = OpenLoop(host, int(port), requests_of(kind, host))
    gc.freeze()
    gc.disable()  # a collection among so many calls would be a pause of the load
    before = time.process_time()
    calls = uvloop.run(loop.run(segments))
    cpu_s = time.process_time() - before
    start = loop.started
    rows = [
        (call.segment, call.intended - start, call.sent and call.sent - start, call.done and call.done - start)
        for call in calls
    ]
    shown = [(*row, call.status) for row, call in zip(rows, calls, strict=True)]
    sys.stdout.write(json.dumps({"began": start, "cpu_s": cpu_s, "calls": shown}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
