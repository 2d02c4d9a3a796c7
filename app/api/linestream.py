"""One bulk exchange: rows are read while answers are written, and neither runs ahead of the other."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.events import DISCONNECTED
from app.api.ndjson import MEDIA_TYPE, Lines
from app.api.predict import result_body
from app.api.refusal import refuse
from app.api.trace import trace_of
from app.api.unpacking import Unpacking
from app.bulk import Answered, Bulk, Row
from app.errors import Draining, InternalError, RequestError, StreamIdle
from app.exchange import Query
from app.modelpack.manifest import Task
from app.service import Service

log = structlog.get_logger("sluice.request")

_LOOK_EVERY_S = 0.25
_DRAIN_SHARE = 0.75
"""Of the seconds that a drain may take: then a stream is ended by a line that says so, while one can still be sent."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What a client may do: bytes of a line, and seconds of rest; and the seconds that a drain may take."""

    max_line_bytes: int
    idle_s: float
    drain_s: float


class LineStream(Response):
    """Answers a body of lines with lines; ``on_end`` is called once, however it ends."""

    media_type = MEDIA_TYPE

    def __init__(
        self, service: Service, bulk: Bulk, task: Task, query: Query, *, manners: Manners, on_end: Callable[[], None]
    ) -> None:
        super().__init__(None, 200, {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._service, self._bulk, self._task, self._query = service, bulk, task, query
        self._manners, self._on_end = manners, on_end
        self.unpacking: Unpacking | None = None
        """What the body is to be unpacked by, where it is packed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Exchange lines until the body ends, something fails, the client is gone or rests, or a drain is up."""
        client = _Client(scope, receive, send, self)
        writing = asyncio.create_task(self._write(client))
        looking = asyncio.create_task(self._until_over(client))
        try:
            await asyncio.wait({writing, looking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, looking):
                task.cancel()
            await asyncio.wait({writing, looking})
            client.stop_watching()
            self._on_end()
        error = looking.result() if not looking.cancelled() else None if writing.cancelled() else writing.result()
        if error is not None:
            await client.fail(error)
        elif client.gone:
            client.trace.error_code = DISCONNECTED

    async def _write(self, client: "_Client") -> RequestError | None:
        """Write every answer; return what ended the stream before its end."""
        rows = client.rows(self._manners.max_line_bytes, self.unpacking)
        try:
            async with contextlib.aclosing(self._bulk.answers(self._task, self._query, rows)) as found:
                async for part in found:
                    await client.write(part)
            if not client.gone:
                await client.end()
        except RequestError as error:
            return error
        except Exception:
            log.exception("internal_error", request_id=client.trace.request_id, path=client.scope["path"])
            return InternalError("the service failed; its log has the cause under this request_id")
        return None

    async def _until_over(self, client: "_Client") -> RequestError | None:
        """Return, with what to say of it, when there is nothing left to wait for."""
        while not await client.left_within(_LOOK_EVERY_S):
            if self._service.draining_s > _DRAIN_SHARE * self._manners.drain_s:
                return Draining("this process is stopping; send what has no answer yet to another")
            rest = client.rests(self._manners.idle_s)
            if rest is not None:
                return StreamIdle(f"{rest} for {self._manners.idle_s:g} s; expected it to send and to read meanwhile")
        return None


class _Client:
    """The other side: what it sends and what it is sent, and since when it keeps this side waiting."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, head: Response) -> None:
        self.scope, self.trace = scope, trace_of(scope)
        self._receive, self._send, self._head = receive, send, head
        self._leaving = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._begun = False
        self._owed = 0
        self._reads_since: float | None = None
        self._writes_since: float | None = None

    @property
    def gone(self) -> bool:
        """Whether the client has disconnected."""
        return self._leaving.is_set()

    async def rows(self, max_line_bytes: int, unpacking: Unpacking | None) -> AsyncGenerator[list[Row], None]:
        """Yield the rows of the body as they come; raise what ``unpacking`` does."""
        lines, more = Lines(max_line_bytes), True
        while more:
            self._reads_since = time.monotonic()
            message = await self._receive()
            self._reads_since = None
            if message["type"] == "http.disconnect":
                self._leaving.set()
                return
            more = message.get("more_body", False)
            body = message.get("body", b"")
            for piece in (body,) if unpacking is None else unpacking.feed(body):
                yield self._due(lines.feed(piece))
                await asyncio.sleep(0)  # a little that was packed may be much, and others have their turn meanwhile
        if unpacking is not None:
            unpacking.end()
        yield self._due(lines.end())
        self._watch = asyncio.create_task(self._until_gone())

    def _due(self, rows: list[Row]) -> list[Row]:
        """Count rows that are to be answered."""
        self._owed += len(rows)
        self.trace.items += len(rows)
        return rows

    async def write(self, part: list[Answered]) -> None:
        """Send the lines of a part; returns once the client has made room for them."""
        body = b"".join([orjson.dumps(line_of(answered)) + b"\n" for answered in part])
        self._owed -= len(part)
        results = [answered.result for answered in part if answered.result is not None]
        self.trace.tokens += sum(result.tokens for result in results)
        self.trace.model = self.trace.model or (results[0].model if results else None)
        await self._say(body)

    async def end(self) -> None:
        """Say that this was all."""
        await self._say(b"", more=False)

    async def fail(self, error: RequestError) -> None:
        """Say why there is no more: as an ordinary answer or, under way, as a last line."""
        self.trace.error_code = error.code
        if not self._begun:
            await refuse(error, self.trace)(self.scope, self._receive, self._send)
        elif self._writes_since is None:  # else the client does not read, and would not read this either
            said = {"error": str(error), "code": error.code, "request_id": self.trace.request_id}
            await self._say(orjson.dumps(said) + b"\n", more=False)

    async def left_within(self, seconds: float) -> bool:
        """Wait so long for the client to leave; tell whether it did."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._leaving.wait(), seconds)
        return self.gone

    def rests(self, idle_s: float) -> str | None:
        """Tell what the client has not done for so long, if it is the client who is waited for."""
        latest = time.monotonic() - idle_s
        if self._writes_since is not None and self._writes_since < latest:
            return "the client read nothing"
        if self._reads_since is not None and self._reads_since < latest and not self._owed:
            return "the client sent nothing"
        return None

    def stop_watching(self) -> None:
        """Let the connection go."""
        if self._watch is not None:
            self._watch.cancel()

    async def _say(self, body: bytes, *, more: bool = True) -> None:
        if not self._begun:
            self._begun = True
            head = {"type": "http.response.start", "status": 200, "headers": self._head.raw_headers}
            await self._send(head)
        self._writes_since = time.monotonic()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._writes_since = None

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leaving.set()


def line_of(answered: Answered) -> dict[str, Any]:
    """Return the JSON of one row's answer."""
    row, result, error = answered.row, answered.result, answered.error
    line: dict[str, Any] = {"index": row.index} if row.id is None else {"index": row.index, "id": row.id}
    if result is not None:
        line |= result_body(result, None)
        line["model"], line["version"] = result.model, result.version
        line["index"] = row.index  # of the stream, where the body has that of the part
        return line
    if error is None:
        raise TypeError("This is a bug: a row with neither an answer nor an error")
    return line | {"code": error.code, "message": str(error)}
