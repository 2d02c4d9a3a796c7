"""What a connection may do before there is a request: how many there are, how long a head is, and how slow.

The rest of a request is the guard's. Here nothing is spent on a request whose head came in one piece but a few
comparisons; connections that make one wait are looked at once a second, all together.
"""

import asyncio
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.ledger import OTHER_ROUTE, Ledger
from app.api.refusal import refuse
from app.api.trace import Trace
from app.api.wire import Wire
from app.errors import HeadersTooLarge, HeadTooSlow, MalformedHttp, RequestError, TooManyConnections

log = structlog.get_logger("sluice")

_NO_METHOD = "-"
_SWEEP_S = 1.0
_LINGER_S = 1.0
_LINGERING_SHARE = 4
_EVICTED_SHARE = 16
"""One in so many connections is closed when room is made, so that it need not be made for each newcomer."""


@dataclass(frozen=True, slots=True)
class GateBounds:
    """What connections may do."""

    max_connections: int
    max_header_bytes: int
    max_headers: int
    head_timeout_s: float


def protocol(base: type[Wire], bounds: GateBounds, ledger: Ledger) -> type["Gate"]:
    """Return the protocol class to give to Uvicorn: ``base`` behind a gate."""
    return type("Gated", (Gate, base), {"_bounds": bounds, "_ledger": ledger, "_sweeper": _Sweeper()})


class Gate(Wire):
    """One connection."""

    _bounds: GateBounds
    _ledger: Ledger
    _sweeper: "_Sweeper"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_since: float | None = None
        """When the head began that is awaited now; from the start, the first one is."""
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._fault: RequestError | None = None
        self._shut = False
        """Whether nothing that comes is read any more."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many that are busy."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        if len(self.connections) > self._bounds.max_connections:
            self._make_room()
        self._sweeper.start(self.loop, self.connections)

    def data_received(self, data: bytes) -> None:
        """Read on, and count what belongs to a head."""
        if self._shut:
            return
        if self._head_since is None and self.take_known(data):
            return  # its head is one that has been let in
        self._chunk_bytes = len(data)
        if self._head_since is not None:
            self._head_bytes += self._chunk_bytes
        super().data_received(data)
        if self._head_since is not None:
            if self._head_bytes > self._bounds.max_header_bytes and not self._shut:
                self._refuse(self._too_large("more"))
        elif self.timeout_keep_alive_task is None and self.is_idle:
            self._head_since = self.loop.time()  # an empty line before a request: the next head is awaited all the same

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        if self._head_since is None:
            self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """End a head: refuse one that is too large, and go on with the others."""
        since, self._head_since = self._head_since, None
        if self._head_bytes + self._chunk_bytes > self._bounds.max_header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._bounds.max_header_bytes:
                self._stop(self._too_large(str(size)), since)
        if len(self.headers) > self._bounds.max_headers:
            found = f"the request has {len(self.headers)} headers; expected at most {self._bounds.max_headers}"
            self._stop(HeadersTooLarge(found), since)
        self._head_bytes = 0
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, in the form of all errors."""
        del msg  # Uvicorn has logged it
        self._refuse(self._fault or MalformedHttp("what came is no HTTP/1.1 request; expected one"))

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def _stop(self, fault: RequestError, since: float | None) -> None:
        """Leave the parser, which is in the middle of what came."""
        self._fault, self._head_since = fault, since
        raise fault

    def _too_large(self, found: str) -> HeadersTooLarge:
        limit = self._bounds.max_header_bytes
        return HeadersTooLarge(f"the request's line and headers have {found} bytes; expected at most {limit}")

    def _refuse(self, fault: RequestError) -> None:
        """Answer with an error and close; where a whole request is under way its answer is the last instead."""
        self._shut = True
        self._ledger.open()
        trace = Trace(secrets.token_hex(16), time.perf_counter())
        answer = refuse(fault, trace, {"X-Request-Id": trace.request_id})
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
        if self._breaks_own_body():
            self.cycle.disconnected = True  # whoever reads the body hears that the client is gone
            self.cycle.message_event.set()
        if self.is_idle or self.cycle.disconnected:
            self.transport.write(STATUS_LINE[fault.status] + lines + b"\r\n" + bytes(answer.body))
            self._close_soon()
        else:
            self.cycle.keep_alive = False
        self._ledger.close(_NO_METHOD, OTHER_ROUTE, fault.status, trace)

    def _breaks_own_body(self) -> bool:
        """Tell whether what cannot be read is the body of the request under way, which has no answer yet."""
        return not self.is_idle and not self.pipeline and self.cycle.more_body and not self.cycle.response_started

    def _close_soon(self) -> None:
        """Close once the client had time to read why: closing on what it still sends would take the answer from it."""
        limit = self._bounds.max_connections
        if len(self.connections) > limit + limit // _LINGERING_SHARE:
            self.transport.close()
            return
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.abort)

    def _make_room(self) -> None:
        """Close the connections that have waited longest without a request, or refuse this one."""
        peers = cast("set[Gate]", self.connections)
        others = [other for other in peers if other is not self and other.is_idle]
        if not others:
            limit = self._bounds.max_connections
            self._refuse(TooManyConnections(f"{limit} connections are busy, as many as are taken; come back later"))
            return
        others.sort(key=Gate._seniority)
        for other in others[: max(1, len(others) // _EVICTED_SHARE)]:
            self.connections.discard(other)
            other.transport.close()

    def _seniority(self) -> tuple[bool, float]:
        """Order connections that never had a request first, each kind by how long it has waited."""
        kept = self.timeout_keep_alive_task is not None
        return (kept, self.idle_since if kept else self._head_since or 0.0)

    def leave_if_late(self) -> None:
        """Close where the head is late: with an answer, if any of it has come."""
        since, limit_s = self._head_since, self._bounds.head_timeout_s
        if since is None or self._shut or not self.is_idle or self.loop.time() - since < limit_s:
            return
        if self._head_bytes:
            self._refuse(HeadTooSlow(f"the request's headers were not whole; expected them within {limit_s:g} s"))
        else:
            self.transport.close()


class _Sweeper:
    """Looks at all connections of a process once a second, as long as there are any."""

    def __init__(self) -> None:
        self._running = False

    def start(self, loop: asyncio.AbstractEventLoop, connections: Collection[Any]) -> None:
        """See to it that the connections are looked at."""
        if not self._running:
            self._running = True
            loop.call_later(_SWEEP_S, self._sweep, loop, connections)

    def _sweep(self, loop: asyncio.AbstractEventLoop, connections: Collection[Gate]) -> None:
        for connection in list(connections):
            connection.leave_if_late()
        self._running = False
        if connections:
            self.start(loop, connections)
