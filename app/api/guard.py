"""In front of every route: request id, key, deadline, body bounds, one log line, one count, and no trace that leaks."""

import time

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import Access, challenge
from app.api.haste import haste_of
from app.api.inlet import Bounds, Inlet
from app.api.ledger import CLIENT_CLOSED, Ledger
from app.api.refusal import fault, refuse
from app.api.trace import Trace, put_trace, request_id
from app.errors import RequestError

log = structlog.get_logger("sluice.request")


class Guard:
    """The outermost layer; every HTTP request passes it once."""

    def __init__(
        self, app: ASGIApp, access: Access, ledger: Ledger, bounds: Bounds, unbounded: frozenset[str] = frozenset()
    ) -> None:
        """``unbounded`` are the paths that bound what they read themselves."""
        self._app = app
        self._access = access
        self._ledger = ledger
        self._bounds = bounds
        self._unbounded = unbounded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        trace = Trace(request_id(headers), time.perf_counter())
        trace.request_key = headers.get(b"x-request-key", b"").decode("latin-1")
        put_trace(scope, trace)
        answer = _Answer(send, trace)
        body = None if scope["path"] in self._unbounded else Inlet(receive, self._bounds, headers)
        self._ledger.open()
        try:
            self._access.admit(scope, headers, trace)
            if scope["method"] == "POST":
                trace.haste = haste_of(headers)
            if body is not None:
                await body.refuse_declared()
                body.open(scope)
            await self._app(scope, body or receive, answer)
        except RequestError as error:
            await refuse(error, trace, challenge(error))(scope, receive, answer)
        except ClientDisconnect:
            pass  # in the middle of its body: nobody is there to be answered
        except Exception:
            log.exception("internal_error", request_id=trace.request_id, path=scope["path"])
            if answer.status is not None:
                raise  # the answer has begun: all that is left is to break the connection off
            await refuse(fault(), trace)(scope, receive, answer)
        finally:
            template = getattr(scope.get("route"), "path", None)
            route = template or scope["path"]  # a plain route's path is its own template
            self._ledger.close(scope["method"], route, answer.status or CLIENT_CLOSED, trace)


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
