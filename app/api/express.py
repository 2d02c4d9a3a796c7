"""The hot path: a prediction as plain as most are goes from bytes to bytes without a task, a scope or a route.

Whatever is out of the ordinary is left to the routes, before anything has happened that could be seen: a header that is
not known to be plain, a body that is wrong, an option, a text with an error. So an error has one place where it is
said, and this module none of its own.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import orjson
import structlog
from fastapi.responses import Response

from app.api.access import Access
from app.api.body import MEDIA_TYPE
from app.api.haste import PRIORITY, TIMEOUT, haste_of
from app.api.heads import Head, plain_headers
from app.api.ledger import CLIENT_CLOSED, Ledger
from app.api.predict import answered, path_of, query_of
from app.api.refusal import fault, refuse, said
from app.api.schemas import PredictRequest, parse_request
from app.api.trace import Trace, given_id, new_id
from app.errors import RequestError, WaitTooLong
from app.modelpack.manifest import CLASSIFYING
from app.plain import Job
from app.scheduling.ticket import Answers
from app.service import Service

log = structlog.get_logger("sluice.request")

MAX_BODY_BYTES = 1 << 16
"""A longer body comes in several pieces, and goes by the routes from its first piece on."""

_OF_BODY = b"content-length: %%d\r\ncontent-type: %b\r\n" % MEDIA_TYPE.encode("ascii")


class Parcel(ABC):
    """One request under way; it is answered or called off, and counted once. Who brings it takes the answer back."""

    express: "Express"
    head: Head
    trace: Trace
    turned_away = False
    """Whether there was no room for it."""
    job: Job | None = None
    """What it waits for."""

    @abstractmethod
    def write(self, status: int, lines: bytes, body: bytes) -> None:
        """Send status, header lines and body; it is called once."""

    def call_off(self) -> None:
        """Nobody waits for the answer any more."""
        if self.job is not None:
            self.job.ticket.future.cancel()

    def turn_away(self, error: WaitTooLong) -> None:
        """Say in the turn in which it came that there is no room; it is short, as most of what overload brings."""
        self.turned_away = True
        body = orjson.dumps(said(error, self.trace))
        lines = b"retry-after: %d\r\n" % (error.retry_after_s or 1) + _OF_BODY % len(body)
        self.write(error.status, self._named(lines), body)
        self.express.ledger.note("POST", self.head.path, error.status, self.trace)

    def refuse(self, error: RequestError) -> None:
        """Say why it is not started on, in the turn in which it came."""
        if isinstance(error, WaitTooLong):
            self.turn_away(error)
        else:
            self.express.ledger.open()
            self.respond(refuse(error, self.trace))

    def respond(self, response: Response) -> None:
        """Send what a route would have sent."""
        self.write(response.status_code, self._named(lines_of(response.raw_headers)), bytes(response.body))
        self.express.ledger.close("POST", self.head.path, response.status_code, self.trace)

    def answer(self, waited: asyncio.Future[Answers]) -> None:
        """Answer, now that the job is done."""
        job, self.job = self.job, None  # an idle connection keeps its last parcel, which is to keep no model
        if job is None:
            raise RuntimeError("This is a bug: an answer to no job")
        service, ledger = self.express.service, self.express.ledger
        service.give_up(job)
        if waited.cancelled():
            ledger.close("POST", self.head.path, CLIENT_CLOSED, self.trace)
            return
        try:
            body = orjson.dumps(answered(service.finish(job), self.trace))
        except RequestError as error:
            self.respond(refuse(error, self.trace))
        except Exception:
            log.exception("internal_error", request_id=self.trace.request_id, path=self.head.path)
            self.respond(refuse(fault(), self.trace))
        else:
            self.write(200, self._named(_OF_BODY % len(body)), body)
            ledger.close("POST", self.head.path, 200, self.trace)

    def _named(self, lines: bytes) -> bytes:
        """Add what every answer says of its request and its caller."""
        trace = self.trace
        lines = b"%bx-request-id: %b\r\n" % (lines, trace.request_id.encode("ascii"))
        return lines if trace.allowance is None else lines + lines_of(trace.allowance.headers())


class Express:
    """Predicts for those requests that are plain."""

    def __init__(self, service: Service, access: Access, ledger: Ledger, max_body_bytes: int) -> None:
        self.service = service
        self.ledger = ledger
        self._access = access
        self._max_body_bytes = min(max_body_bytes, MAX_BODY_BYTES)
        self._tasks = {path_of(task).encode("ascii"): task for task in CLASSIFYING}

    def vet(self, url: bytes, given: Sequence[tuple[bytes, bytes]]) -> Head | None:
        """Return the head of a POST to ``url`` with the headers ``given``, ``None`` where it is not plain."""
        task = self._tasks.get(url)
        headers = None if task is None else plain_headers(given)
        if task is None or headers is None:
            return None
        path = path_of(task)
        is_hurried = TIMEOUT in headers or PRIORITY in headers
        return Head(path, task, headers, self._access.is_open(path), is_hurried, given_id(headers))

    def begin(self, head: Head, body: bytes, parcel: Parcel) -> bool:
        """Start on a whole request, which ``parcel`` will write the answer to; return whether it is plain."""
        if len(body) > self._max_body_bytes:
            return False
        trace = Trace(head.request_id or new_id(), time.perf_counter())
        parcel.express, parcel.head, parcel.trace = self, head, trace
        try:
            if not head.is_open:
                self._access.admit({"path": head.path, "method": "POST"}, head.headers, trace)
            if head.is_hurried:
                trace.haste = haste_of(head.headers)
            self.service.refuse_unless_soon(trace.haste)
            asked = parse_request(PredictRequest, body)
        except WaitTooLong as error:
            parcel.turn_away(error)
            return True
        except RequestError:
            return False
        trace.items = len(asked.inputs)
        try:
            job = self.service.start(head.task, query_of(asked, trace))
        except RequestError as error:
            parcel.refuse(error)
            return True
        if job is None:
            return False
        self.ledger.open()
        parcel.job = job
        job.ticket.future.add_done_callback(parcel.answer)
        return True


def lines_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
