"""In front of every route: request id, key, body limit, one log line, one count, and no trace that leaks."""

import sys
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import Access, challenge
from app.api.ledger import CLIENT_CLOSED, Ledger
from app.api.refusal import fault, refuse
from app.api.trace import Trace, put_trace, request_id
from app.errors import BodyTooLarge, Forbidden, RouteNotFound, Unauthorized

log = structlog.get_logger("sluice.request")

_DISCARD_BODIES = 16
"""How many times the limit is read and thrown away, so that the client lives to read why it was refused."""


class Guard:
    """The outermost layer; every HTTP request passes it once."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        ledger: Ledger,
        max_body_bytes: int,
        unbounded: frozenset[str] = frozenset(),
    ) -> None:
        """``unbounded`` are the paths that bound what they read themselves."""
        self._app = app
        self._access = access
        self._ledger = ledger
        self._max_body_bytes = max_body_bytes
        self._unbounded = unbounded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        trace = Trace(request_id(headers), time.perf_counter())
        put_trace(scope, trace)
        answer = _Answer(send, trace)
        body = _Body(receive, sys.maxsize if scope["path"] in self._unbounded else self._max_body_bytes)
        self._ledger.open()
        try:
            self._access.admit(scope, headers, trace)
            await body.refuse_declared(headers)
            await self._app(scope, body, answer)
        except (RouteNotFound, Unauthorized, Forbidden) as error:
            await refuse(error, trace, challenge(error))(scope, receive, answer)
        except BodyTooLarge as error:
            await refuse(error, trace, {"Connection": "close"})(scope, receive, answer)
        except Exception:
            log.exception("internal_error", request_id=trace.request_id, path=scope["path"])
            if answer.status is not None:
                raise  # the answer has begun: all that is left is to break the connection off
            await refuse(fault(), trace)(scope, receive, answer)
        finally:
            template = getattr(scope.get("route"), "path", None)
            route = template or scope["path"]  # a plain route's path is its own template
            self._ledger.close(scope["method"], route, answer.status or CLIENT_CLOSED, trace)


class _Body:
    """``receive`` that stops at the limit, whatever the client said of the length."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            if self._seen > self._max_bytes:
                await self._discard(more=message.get("more_body", False))
                raise self._error("more")
        return message

    async def refuse_declared(self, headers: dict[bytes, bytes]) -> None:
        """Raise ``BodyTooLarge`` for a Content-Length above the limit."""
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) <= self._max_bytes:
            return
        if headers.get(b"expect", b"").lower() != b"100-continue":  # such a client waits before it sends
            await self._discard(more=True)
        raise self._error(declared.decode("ascii"))

    async def _discard(self, *, more: bool) -> None:
        left = self._max_bytes * _DISCARD_BODIES
        while more and left > 0:
            message = await self._receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            left -= len(message.get("body", b""))

    def _error(self, found: str) -> BodyTooLarge:
        return BodyTooLarge(f"the body has {found} bytes; expected at most {self._max_bytes}")


class _Answer:
    """``send`` that adds the request id and what the key has left, and remembers the status."""

    def __init__(self, send: Send, trace: Trace) -> None:
        self._send = send
        self._trace = trace
        self._header = (b"x-request-id", trace.request_id.encode("ascii"))
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), self._header]
            if self._trace.allowance is not None:
                headers += self._trace.allowance.headers()
            message = {**message, "headers": headers}
        await self._send(message)
