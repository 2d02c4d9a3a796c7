"""Server-sent events: an answer that is sent while it is made, and whose making stops when nobody listens."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import orjson
import structlog
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.trace import trace_of
from app.errors import InternalError, RequestError

log = structlog.get_logger("sluice.request")

MEDIA_TYPE = "text/event-stream"
_HEADERS = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # a proxy that gathers the whole answer first would undo it
}
DISCONNECTED = "disconnected"
"""What the log calls an answer whose client went away before its end."""


class EventStream(Response):
    """Sends each value of ``events`` as one event; what fails under way is the last event."""

    def __init__(self, events: AsyncGenerator[Mapping[str, Any], None]) -> None:
        super().__init__(None, 200, _HEADERS, f"{MEDIA_TYPE}; charset=utf-8")
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the events end or the client goes away; whichever it is, the generator is closed."""
        writing = asyncio.create_task(self._write(scope, send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                trace_of(scope).error_code = DISCONNECTED
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.wait({writing, leaving})
            await self._events.aclose()
        if not writing.cancelled():
            writing.result()

    async def _write(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for event in self._events:
                await _send_event(send, event, more=True)
        except RequestError as error:
            await _send_event(send, _failure(scope, error), more=True)
        except OSError:
            trace_of(scope).error_code = DISCONNECTED
            return
        except Exception:
            log.exception("internal_error", request_id=trace_of(scope).request_id, path=scope["path"])
            fault = InternalError("the service failed; its log has the cause under this request_id")
            await _send_event(send, _failure(scope, fault), more=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_event(send: Send, event: Mapping[str, Any], *, more: bool) -> None:
    body = b"data: " + orjson.dumps(event) + b"\n\n"
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _failure(scope: Scope, error: RequestError) -> dict[str, str]:
    trace = trace_of(scope)
    trace.error_code = error.code
    return {"error": str(error), "code": error.code, "request_id": trace.request_id}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
