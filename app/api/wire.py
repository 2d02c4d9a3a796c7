"""Uvicorn's HTTP protocol, with a way past ASGI for requests that are plain and wholly there.

Uvicorn parses, keeps connections alive, queues pipelined requests and drains. A request that ``Express`` takes stands,
while it is under way, where Uvicorn keeps the cycle of an ASGI request, and is answered with one write. All others go
their ordinary way, from their first byte on. A client that keeps its connection sends the same head again and again:
after the first it is not even parsed.
"""

from collections.abc import Sequence
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.express import Express, Parcel, lines_of
from app.api.heads import Head, Known
from app.api.pace import Pace

log = structlog.get_logger("sluice.request")

_LESSONS, _SELDOM = 8, 64
"""After so many heads in a row that did not come again only one in so many is learned: the client writes new ones."""


def protocol(express: Express) -> type["Wire"]:
    """Return the protocol class to give to Uvicorn."""
    return type("Wire", (Wire,), {"_express": express, "_pace": Pace(), "openings": _Openings()})


class Wire(HttpToolsProtocol):
    """One connection."""

    _express: Express
    _pace: Pace
    openings: "_Openings"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_rest = True
        """Whether the parser is between two requests."""
        self._head: Head | None = None
        """The head of a request that may yet be plain, until its body is there."""
        self._held = b""
        """What there is of that body."""
        self._taken: Head | None = None
        """The head of the last request, if it was plain."""
        self._known: Known | None = None
        """How that head is known if it comes next."""
        self._lessons = 0
        """How many heads were there to be learned since one was known."""
        self.exchange: _Exchange | None = None
        """The plain request under way, if there is one."""
        self.idle_since = 0.0
        """When the last answer was out."""

    def data_received(self, data: bytes) -> None:
        """Read on; a request that is not whole by the end of what came goes the ordinary way."""
        was_at_rest = self._at_rest
        super().data_received(data)
        if self._head is not None:
            self._head = None
            if not self.transport.is_closing():
                self._hand_over()
        elif was_at_rest and self._at_rest and self._taken is not None:
            self._learn(self._taken, data)

    def take_known(self, data: bytes) -> bool:
        """Start on a plain request whose head is the one before, and wholly there; return whether that is what came."""
        known = self._known
        if known is None or self.exchange is not None or self.flow.write_paused:
            return False
        body = known.body_of(data)
        if body is None or not self._begin(known.head, body, keep_alive=True):
            return False
        self._lessons = 0
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Call off what nobody will read."""
        self._head = self._known = None
        self._unset_keepalive_if_required()
        if self.exchange is not None:
            self.exchange.call_off()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a request that is not known by its bytes."""
        self._at_rest = False
        self._taken = self._known = None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold a request that may be plain until its body is there."""
        self._head = self._plain_head()
        if self._head is not None:
            self._held = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._head is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Start on a held request."""
        self._at_rest = True
        if self._head is None:
            super().on_message_complete()
            return
        head, self._head = self._head, None
        keep_alive = self.parser.should_keep_alive()
        if self._begin(head, self._held, keep_alive=keep_alive):
            self._taken = head if keep_alive else None
        else:
            self._hand_over()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on after an answer, as Uvicorn does."""
        self.idle_since = self.loop.time()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close where no request came for as long as a connection is kept; the timer may be of an earlier one."""
        self.timeout_keep_alive_task = None
        left_s = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if self.exchange is not None:
            pass  # its answer sets the timer again
        elif left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _plain_head(self) -> Head | None:
        if (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.expect_100_continue
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
        ):
            return self._express.vet(self.url, self.headers)
        return None

    def _learn(self, head: Head, data: bytes) -> None:
        """Know a head again: ``data`` began with a request, ended with one, and ``head`` is that of the last one."""
        self._lessons += 1
        if self._lessons <= _LESSONS or self._lessons % _SELDOM == 0:
            self._known = Known.learned(head, data)

    def _begin(self, head: Head, body: bytes, *, keep_alive: bool) -> bool:
        exchange = _Exchange(self, keep_alive)
        try:
            if not self._express.begin(head, body, exchange):
                return False
        except Exception:
            log.exception("express_failed")  # this is a bug, and the routes may do better
            return False
        if not exchange.response_complete:
            self.exchange = exchange
            self.cycle = exchange  # type: ignore[assignment]
        elif exchange.turned_away:
            self._rest()
        return True

    def _rest(self) -> None:
        """Read no more for a while where refusals have become too many."""
        rest_s = self._pace.rest_s(self.loop.time())
        if rest_s > 0 and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(rest_s, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _hand_over(self) -> None:
        super().on_headers_complete()
        if self._held:
            super().on_body(self._held)


class _Exchange(Parcel):
    """Has what Uvicorn reads and sets of the cycle of a request under way."""

    disconnected = False
    response_complete = False
    body = b""
    more_body = False

    def __init__(self, wire: Wire, keep_alive: bool) -> None:  # noqa: FBT001 - as Uvicorn's own
        self._wire = wire
        self.keep_alive = keep_alive

    @property
    def message_event(self) -> "_Exchange":
        """What Uvicorn sets to wake a reader; nobody reads here."""
        return self

    def set(self) -> None:
        """Wake nobody."""

    def write(self, status: int, lines: bytes, body: bytes) -> None:
        """Send the whole answer, and let the connection go on."""
        self.response_complete = True
        wire = self._wire
        wire.exchange = None
        transport = wire.transport
        if transport.is_closing():
            return
        if not self.keep_alive:
            lines += b"connection: close\r\n"
        opening = wire.openings.of(status, wire.server_state.default_headers)
        transport.write(b"%b%b\r\n%b" % (opening, lines, body))
        if not self.keep_alive:
            transport.close()
        if wire.timeout_keep_alive_task is None or wire.pipeline:
            wire.on_response_complete()
            return
        wire.server_state.total_requests += 1  # what Uvicorn does, but for setting the timer anew
        wire.idle_since = wire.loop.time()
        if wire.flow.read_paused:
            wire.flow.resume_reading()


class _Openings:
    """How answers begin: their status and Uvicorn's headers, joined once for each second's date."""

    def __init__(self) -> None:
        self._headers: Sequence[tuple[bytes, bytes]] | None = None
        self._by_status: dict[int, bytes] = {}

    def of(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the bytes; ``headers`` is another object whenever it says anything else."""
        if headers is not self._headers:
            self._headers = headers
            self._by_status.clear()
        if status not in self._by_status:
            self._by_status[status] = STATUS_LINE[status] + lines_of(headers)
        return self._by_status[status]
