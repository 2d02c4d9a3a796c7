"""POST /v2/models/{name}/generate and generate_stream: one text in, its summary out."""

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from app.api.body import json_response
from app.api.disconnect import CancelledWhenGone
from app.api.events import EventStream
from app.api.ledger import CLIENT_CLOSED
from app.api.oip.answering import Answering
from app.api.oip.columns import refuse_untold
from app.api.oip.schemas import GenerateRequest
from app.api.oip.wire import parse, refuse_media_type
from app.api.oip.wish import wish_of
from app.api.trace import trace_of
from app.errors import InvalidInference
from app.modelpack.manifest import SUMMARIZING
from app.summarizing.wishes import Delta, Summarized, SummaryReply, Wish

Said = Delta | SummaryReply


async def generate(answering: Answering, request: Request, name: str, version: str | None) -> Response:
    """Answer with the whole summary."""
    asked, wish = await _read(answering, request, name, version)
    async with CancelledWhenGone(request.receive) as client:
        reply = await answering.summaries.answer(wish)
    if client.gone:
        return Response(status_code=CLIENT_CLOSED)
    refuse_untold(reply.failures, 1, ())
    trace_of(request.scope).tokens = reply.results[0].tokens
    return json_response(_whole(reply.results[0], asked.id))


async def generate_stream(answering: Answering, request: Request, name: str, version: str | None) -> Response:
    """Answer with the summary as it is decided; a failure before its first event is an ordinary error."""
    asked, wish = await _read(answering, request, name, version)
    stream = answering.summaries.stream(wish)
    first: Said | None = None
    try:
        async with CancelledWhenGone(request.receive) as client:
            first = await anext(stream)
            if isinstance(first, SummaryReply):
                refuse_untold(first.failures, 1, ())
    except BaseException:
        first = None
        raise
    finally:
        if first is None:
            await stream.aclose()
    if client.gone or first is None:
        return Response(status_code=CLIENT_CLOSED)
    return EventStream(_events(first, stream, wish, asked.id))


async def _read(answering: Answering, request: Request, name: str, version: str | None) -> tuple[GenerateRequest, Wish]:
    trace = trace_of(request.scope)
    refuse_media_type(request)
    answering.service.refuse_unless_ready()  # before the body is read: it would be read for nothing
    model = answering.model(name, version)
    if model.manifest.task not in SUMMARIZING:
        raise InvalidInference(f"model {name!r} is for {model.manifest.task}; expected one that writes or quotes")
    asked = parse(GenerateRequest, await request.body())
    trace.items, trace.model = 1, model.name
    return asked, wish_of(
        [asked.text_input],
        model.name,
        model.package.version,
        asked.parameters or {},
        allowance=trace.allowance,
        haste=trace.haste,
    )


async def _events(
    first: Said, rest: AsyncGenerator[Said, None], wish: Wish, request_id: str | None
) -> AsyncGenerator[dict[str, Any], None]:
    try:
        yield _event(first, wish, request_id)
        async for more in rest:
            yield _event(more, wish, request_id)
    finally:
        await rest.aclose()


def _event(said: Said, wish: Wish, request_id: str | None) -> dict[str, Any]:
    if isinstance(said, SummaryReply):  # what it says stands in the events before
        return _whole(said.results[0], request_id) | {"text_output": "", "done": True}
    head = _head(str(wish.model), str(wish.version), request_id)
    return head | {"text_output": said.text, "done": False}


def _whole(result: Summarized, request_id: str | None) -> dict[str, Any]:
    details = {
        "finish_reason": result.finish_reason,
        "method": result.method,
        "kind": result.kind,
        "tokens": result.tokens,
        "summary_tokens": result.summary_tokens,
        "truncated": result.truncated,
    }
    head = _head(result.model, str(result.version), request_id)
    return head | {"text_output": result.summary, "details": details}


def _head(name: str, version: str, request_id: str | None) -> dict[str, Any]:
    return {"model_name": name, "model_version": version} | ({"id": request_id} if request_id else {})
