"""The hot path: a prediction as plain as most are goes from bytes to bytes without a task, a scope or a route.

Whatever is out of the ordinary is left to the routes, before anything has happened that could be seen: another header
than those below, a body that is wrong, an option, a text with an error. So an error has one place where it is said,
and this module none of its own.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import orjson
import structlog
from fastapi.responses import Response
from starlette.types import Scope

from app.api.access import Access
from app.api.body import MEDIA_TYPE
from app.api.haste import PRIORITY, TIMEOUT, haste_of
from app.api.ledger import CLIENT_CLOSED, Ledger
from app.api.predict import answered, path_of, query_of
from app.api.refusal import fault, refuse, said
from app.api.schemas import PredictRequest, parse_request
from app.api.trace import Trace, request_id
from app.errors import RequestError, WaitTooLong
from app.modelpack.manifest import CLASSIFYING
from app.scheduling.ticket import Answers
from app.service import Job, Service

log = structlog.get_logger("sluice.request")

Headers = Iterable[tuple[bytes, bytes]]
Write = Callable[[int, Headers, bytes], None]
"""Sends status, headers and body."""

MAX_BODY_BYTES = 1 << 16
"""A longer body comes in several pieces, and goes by the routes from its first piece on."""

_MEANINGLESS = {
    *(b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma"),
    *(b"content-length", b"connection", b"keep-alive", b"origin", b"referer", b"dnt", b"priority", b"via"),
    *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-real-ip"),
    *(b"traceparent", b"tracestate", b"baggage", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-sampled", b"b3"),
}
_READ = {b"content-type", b"x-request-id", b"authorization", b"x-api-key", TIMEOUT, PRIORITY}
PLAIN_HEADERS = frozenset(_MEANINGLESS | _READ)
"""What a request may carry and go this way: what nothing here reads, and what this module reads as the routes do."""
_JSON = {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}

_CONTENT_TYPE = (b"content-type", MEDIA_TYPE.encode("ascii"))


class Express:
    """Predicts for those requests that are plain."""

    def __init__(self, service: Service, access: Access, ledger: Ledger, max_body_bytes: int) -> None:
        self._service = service
        self._access = access
        self._ledger = ledger
        self._max_body_bytes = min(max_body_bytes, MAX_BODY_BYTES)
        self._tasks = {path_of(task): task for task in CLASSIFYING}
        self._paths = frozenset(path.encode("ascii") for path in self._tasks)

    def serves(self, path: bytes) -> bool:
        """Tell whether requests of the method POST to this path, as it came, may be plain."""
        return path in self._paths

    def begin(self, scope: Scope, body: bytes, write: Write) -> "Parcel | None":
        """Start on a whole request and return it under way, which will ``write`` once; ``None`` where it is not plain.

        ``scope`` needs ``path`` and ``headers``.
        """
        headers = dict(scope["headers"])
        if len(body) > self._max_body_bytes or not _is_plain(headers, scope["headers"]):
            return None
        trace = Trace(request_id(headers), time.perf_counter())
        try:
            self._access.admit(scope, headers, trace)
            trace.haste = haste_of(headers)
            self._service.refuse_unless_soon(trace.haste)
            asked = parse_request(PredictRequest, body)
        except WaitTooLong as error:
            return self._refused(error, scope["path"], trace, write)
        except RequestError:
            return None
        trace.items = len(asked.inputs)
        try:
            job = self._service.start(self._tasks[scope["path"]], query_of(asked, trace))
        except RequestError as error:
            return self._refused(error, scope["path"], trace, write)
        if job is None:
            return None
        self._ledger.open()
        parcel = Parcel(self._service, self._ledger, scope["path"], trace, write)
        parcel.follow(job)
        return parcel

    def _refused(self, error: RequestError, path: str, trace: Trace, write: Write) -> "Parcel":
        parcel = Parcel(self._service, self._ledger, path, trace, write)
        if isinstance(error, WaitTooLong):
            parcel.turn_away(error)
        else:
            self._ledger.open()
            parcel.respond(refuse(error, trace))
        return parcel


class Parcel:
    """One request under way; it is answered or called off, and counted once."""

    __slots__ = ("_job", "_ledger", "_path", "_service", "_trace", "_write", "turned_away")

    def __init__(self, service: Service, ledger: Ledger, path: str, trace: Trace, write: Write) -> None:
        self._service = service
        self._ledger = ledger
        self._path = path
        self._trace = trace
        self._write = write
        self._job: Job | None = None
        self.turned_away = False
        """Whether there was no room for it."""

    def follow(self, job: Job) -> None:
        """Answer when the job is done."""
        self._job = job
        job.ticket.future.add_done_callback(self._done)

    def call_off(self) -> None:
        """Nobody waits for the answer any more."""
        if self._job is not None:
            self._job.ticket.future.cancel()

    def turn_away(self, error: WaitTooLong) -> None:
        """Say in the turn in which it came that there is no room; it is short, as most of what overload brings."""
        self.turned_away = True
        body = orjson.dumps(said(error, self._trace))
        headers = ((b"retry-after", b"%d" % (error.retry_after_s or 1)), (b"content-length", b"%d" % len(body)))
        self._write(error.status, self._named((*headers, _CONTENT_TYPE)), body)
        self._ledger.note("POST", self._path, error.status, self._trace)

    def respond(self, response: Response) -> None:
        """Send what a route would have sent."""
        self._send(response.status_code, response.raw_headers, bytes(response.body))

    def _done(self, waited: asyncio.Future[Answers]) -> None:
        job, self._job = self._job, None  # an idle connection keeps its last parcel, which is to keep no model
        if job is None:
            raise RuntimeError("This is a bug: an answer to no job")
        self._service.give_up(job)
        if waited.cancelled():
            self._ledger.close("POST", self._path, CLIENT_CLOSED, self._trace)
            return
        try:
            content = answered(self._service.finish(job), self._trace)
        except RequestError as error:
            self.respond(refuse(error, self._trace))
        except Exception:
            log.exception("internal_error", request_id=self._trace.request_id, path=self._path)
            self.respond(refuse(fault(), self._trace))
        else:
            body = orjson.dumps(content)
            self._send(200, ((b"content-length", b"%d" % len(body)), _CONTENT_TYPE), body)

    def _named(self, headers: Headers) -> Headers:
        """Add what every answer says of its request and its caller."""
        headers = (*headers, (b"x-request-id", self._trace.request_id.encode("ascii")))
        if self._trace.allowance is not None:
            headers += tuple(self._trace.allowance.headers())
        return headers

    def _send(self, status: int, headers: Headers, body: bytes) -> None:
        self._write(status, self._named(headers), body)
        self._ledger.close("POST", self._path, status, self._trace)


def _is_plain(headers: dict[bytes, bytes], given: list[tuple[bytes, bytes]]) -> bool:
    return (
        PLAIN_HEADERS.issuperset(headers)
        and len(headers) == len(given)  # of a header given twice the routes may read the other
        and headers.get(b"content-type") in _JSON
    )
