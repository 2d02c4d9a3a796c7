"""Uvicorn's HTTP protocol, with a way past ASGI for requests that are plain and wholly there.

Uvicorn parses, keeps connections alive, queues pipelined requests and drains. A request that ``Express`` takes stands,
while it is under way, where Uvicorn keeps the cycle of an ASGI request, and is answered with one write. All others go
their ordinary way, from their first byte on.
"""

from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.express import Express, Headers, Parcel
from app.api.pace import Pace

log = structlog.get_logger("sluice.request")


def protocol(express: Express) -> type[HttpToolsProtocol]:
    """Return the protocol class to give to Uvicorn."""
    return type("Wire", (Wire,), {"_express": express, "_pace": Pace()})


class Wire(HttpToolsProtocol):
    """One connection."""

    _express: Express
    _pace: Pace

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: bytes | None = None
        """The body so far of a request that may yet be plain."""
        self._exchange: _Exchange | None = None
        """The plain request under way, if there is one."""

    def data_received(self, data: bytes) -> None:
        """Read on; a request that is not whole by the end of what came goes the ordinary way."""
        super().data_received(data)
        if self._held is not None:
            body, self._held = self._held, None
            if not self.transport.is_closing():
                self._hand_over(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Call off what nobody will read."""
        self._held = None
        if self._exchange is not None:
            self._exchange.call_off()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Hold a request that may be plain until its body is there."""
        if self._may_be_plain():
            self._held = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Start on a held request."""
        if self._held is None:
            super().on_message_complete()
            return
        body, self._held = self._held, None
        if not self._begin(body):
            self._hand_over(body)
            super().on_message_complete()

    def _may_be_plain(self) -> bool:
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.expect_100_continue
            and self._express.serves(self.url)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
        )

    def _begin(self, body: bytes) -> bool:
        exchange = _Exchange(self, keep_alive=self.parser.should_keep_alive())
        self.scope["path"] = self.url.decode("ascii")
        try:
            exchange.parcel = self._express.begin(self.scope, body, exchange.write)  # type: ignore[arg-type]
        except Exception:
            log.exception("express_failed")  # this is a bug, and the routes may do better
            return False
        if exchange.parcel is None:
            return False
        if not exchange.response_complete:
            self._exchange = exchange
            self.cycle = exchange  # type: ignore[assignment]
        elif exchange.parcel.turned_away:
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

    def _hand_over(self, body: bytes) -> None:
        super().on_headers_complete()
        if body:
            super().on_body(body)


class _Exchange:
    """Has what Uvicorn reads and sets of the cycle of a request under way."""

    __slots__ = ("_wire", "body", "disconnected", "keep_alive", "more_body", "parcel", "response_complete")

    def __init__(self, wire: Wire, *, keep_alive: bool) -> None:
        self._wire = wire
        self.keep_alive = keep_alive
        self.parcel: Parcel | None = None
        self.disconnected = False
        self.response_complete = False
        self.body = b""
        self.more_body = False

    @property
    def message_event(self) -> "_Exchange":
        """What Uvicorn sets to wake a reader; nobody reads here."""
        return self

    def set(self) -> None:
        """Wake nobody."""

    def call_off(self) -> None:
        """Tell that the client is gone."""
        if self.parcel is not None:
            self.parcel.call_off()

    def write(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the whole answer, and let the connection go on."""
        self.response_complete = True
        wire = self._wire
        wire._exchange = None  # noqa: SLF001 - its other half
        if wire.transport.is_closing():
            return
        parts = [STATUS_LINE[status]]
        for name, value in (*wire.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n", body)
        wire.transport.write(b"".join(parts))
        if not self.keep_alive:
            wire.transport.close()
        wire.on_response_complete()
