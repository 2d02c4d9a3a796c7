"""In front of every route: request id, key, body limit, one log line, one count, and no trace that leaks."""

import random
import re
import time
from functools import lru_cache

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import Access, challenge
from app.api.refusal import refuse
from app.api.trace import Trace, put_trace
from app.errors import BodyTooLarge, Forbidden, InternalError, RouteNotFound, Unauthorized
from app.metrics import REJECTIONS, Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
OTHER_ROUTE = "other"
"""The route label of paths that no route has."""

_QUIET = {"/health/live", "/health/ready", "/metrics"}
_DISCARD_BODIES = 16
"""How many times the limit is read and thrown away, so that the client lives to read why it was refused."""

_SERIES = 256
"""More than the routes times the codes that they answer."""

_ids = random.Random()  # noqa: S311 - an id is unique, not secret, and the kernel's random numbers cost a call each


class Guard:
    """The outermost layer; every HTTP request passes it once."""

    def __init__(
        self, app: ASGIApp, access: Access, metrics: Metrics, max_body_bytes: int, routes: frozenset[str]
    ) -> None:
        """``routes`` are the paths that may stand as a label."""
        self._app = app
        self._access = access
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._routes = routes
        self._series = lru_cache(_SERIES)(
            lambda route, code: (metrics.requests.labels(route, code), metrics.request_seconds.labels(route))
        )
        self._log = structlog.get_logger("sluice.request").bind()  # bound once, not at each line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        trace = Trace(_request_id(headers), time.perf_counter())
        put_trace(scope, trace)
        answer = _Answer(send, trace)
        body = _Body(receive, self._max_body_bytes)
        self._metrics.in_flight.inc()
        try:
            self._access.admit(scope, headers, trace)
            await body.refuse_declared(headers)
            await self._app(scope, body, answer)
        except (RouteNotFound, Unauthorized, Forbidden) as error:
            await refuse(error, trace, challenge(error))(scope, receive, answer)
        except BodyTooLarge as error:
            await refuse(error, trace, {"Connection": "close"})(scope, receive, answer)
        except Exception:
            self._log.exception("internal_error", request_id=trace.request_id, path=scope["path"])
            if answer.status is not None:
                raise  # the answer has begun: all that is left is to break the connection off
            fault = InternalError("the service failed; its log has the cause under this request_id")
            await refuse(fault, trace)(scope, receive, answer)
        finally:
            self._metrics.in_flight.dec()
            self._count(scope, trace, answer.status)

    def _count(self, scope: Scope, trace: Trace, status: int | None) -> None:
        route = getattr(scope.get("route"), "path", scope["path"])  # a plain route's path is its own template
        route = route if route in self._routes else OTHER_ROUTE
        code = str(status or 499)  # no answer: the client went away first
        seconds = time.perf_counter() - trace.started
        counter, histogram = self._series(route, code)
        counter.inc()
        histogram.observe(seconds)
        if trace.key is not None:
            self._metrics.of_key(trace.key).add(trace.items, trace.tokens, trace.error_code)
        if trace.error_code in REJECTIONS:
            self._metrics.rejected.labels(trace.error_code).inc()
        write = self._log.debug if route in _QUIET else self._log.info
        write(
            "request",
            request_id=trace.request_id,
            method=scope["method"],
            route=route,
            status=int(code),
            code=trace.error_code,
            **({} if trace.key is None else {"key": trace.key}),
            model=trace.model,
            items=trace.items,
            tokens=trace.tokens,
            timings_ms=trace.timings_ms,
            total_ms=round(seconds * 1000, 3),
        )


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


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if REQUEST_ID.fullmatch(given) else f"{_ids.getrandbits(128):032x}"
