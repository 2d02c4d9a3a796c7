"""POST /v1/summarize: texts in, summaries out, at once or as they are written."""

import time
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from app.api.body import json_response
from app.api.disconnect import CancelledWhenGone
from app.api.events import MEDIA_TYPE, EventStream
from app.api.examples import answers, summary_examples, summary_requests
from app.api.haste import PARAMETERS
from app.api.ledger import CLIENT_CLOSED
from app.api.predict import STATUSES, failure_body, milliseconds, refuse_media_type
from app.api.refusal import refuse
from app.api.routes import Routes
from app.api.schemas import parse_request
from app.api.summary_schemas import SummaryRequest, SummaryResponse
from app.api.trace import Trace, trace_of
from app.errors import InvalidRequest
from app.service import Service
from app.summarizing.journey import Summaries
from app.summarizing.wishes import Delta, Summarized, SummaryReply, Wish
from app.tasks.classify import DIGITS
from app.tasks.detokenize import SPACE

PATH = "/v1/summarize"

_EXAMPLE_EVENTS = """data: {"text":"central bank","tokens":3}

data: {"text":" raises","tokens":4}

data: {"done":true,"model":"summarize-en","version":1,"results":[...],"errors":[],"timings_ms":{...}}
"""
_DESCRIPTION = """\
Each text is answered on its own. One that has no answer is an entry in `errors`, and the others are answered. Where not
one text has an answer the status is 422. What an option may be, and is by default, is the package's:
`GET /v1/models/{name}` tells.

With `stream` the answer to one text is server-sent events, `data: {json}` each: `{"text", "tokens"}` as text is
decided, and last `{"done": true, ...}` with the whole answer as it would be without a stream. A failure before the
first event is an ordinary error; a later one is a last event `{"error", "code", "request_id"}`. A client that goes away
stops the work."""


def routes(service: Service, summaries: Summaries) -> Routes:
    """Return the route; ``service`` says whether work is taken."""
    found = Routes("summarize")

    async def summarize(request: Request) -> Response:
        trace = trace_of(request.scope)
        refuse_media_type(request)
        service.refuse_unless_ready()  # before the body is read: it would be read for nothing
        asked = parse_request(SummaryRequest, await request.body())
        asked.refuse_unstreamable()
        trace.items = len(asked.inputs)
        if asked.stream:
            return await _streamed(summaries, _wish(asked, trace), request, trace)
        async with CancelledWhenGone(request.receive) as client:
            reply = await summaries.answer(_wish(asked, trace))
        return Response(status_code=CLIENT_CLOSED) if client.gone else _respond(reply, trace)

    found.add("POST", PATH, summarize, _told)
    return found


def _told() -> dict[str, Any]:
    body = {"schema": SummaryRequest.model_json_schema(), "examples": summary_requests()}
    events = {"schema": {"type": "object"}, "example": _EXAMPLE_EVENTS}
    ok: dict[str, Any] = {"model": SummaryResponse} | summary_examples()
    ok.setdefault("content", {})[MEDIA_TYPE] = events
    return {
        "name": "summarize",
        "summary": "Summarize texts: a headline, a dialogue's gist, or the best sentences",
        "description": _DESCRIPTION,
        "responses": answers(*STATUSES, ok=ok, of_summaries=True),
        "openapi_extra": {
            "parameters": PARAMETERS,
            "requestBody": {"required": True, "content": {"application/json": body}},
        },
    }


def answer_body(reply: SummaryReply, total_s: float) -> dict[str, Any]:
    """Return the JSON of a reply; the model named at its head is the first result's."""
    head, times = reply.results[0] if reply.results else None, reply.timings
    return {
        "model": head and head.model,
        "version": head and head.version,
        **({"alias": head.alias} if head and head.alias else {}),
        "results": [_result(result, head) for result in reply.results],
        "errors": [failure_body(failure) for failure in reply.failures],
        "timings_ms": {
            "tokenize": milliseconds(times.tokenize),
            "queue": milliseconds(times.queue),
            "extract": milliseconds(times.extract),
            "generate": milliseconds(times.generate),
            "first_token": None if times.first_token is None else milliseconds(times.first_token),
            "total": milliseconds(total_s),
        },
    }


def _wish(asked: SummaryRequest, trace: Trace) -> Wish:
    return Wish(
        texts=asked.inputs,
        key=trace.sticky_key,
        **asked.model_dump(exclude={"inputs", "stream"}),
        allowance=trace.allowance,
        haste=trace.haste,
    )


async def _streamed(summaries: Summaries, wish: Wish, request: Request, trace: Trace) -> Response:
    """Return the stream once its first event is there: until then a failure is an ordinary error."""
    stream = summaries.stream(wish)
    first: Delta | SummaryReply | None = None
    try:
        async with CancelledWhenGone(request.receive) as client:
            first = await anext(stream)
    finally:
        if first is None:
            await stream.aclose()
    if client.gone or first is None:
        return Response(status_code=CLIENT_CLOSED)
    if isinstance(first, SummaryReply) and not first.results:
        await stream.aclose()
        return _respond(first, trace)
    return EventStream(_events(first, stream, trace))


async def _events(
    first: Delta | SummaryReply, rest: AsyncGenerator[Delta | SummaryReply, None], trace: Trace
) -> AsyncGenerator[dict[str, Any], None]:
    try:
        yield _event(first, trace)
        async for more in rest:
            yield _event(more, trace)
    finally:
        await rest.aclose()


def _event(said: Delta | SummaryReply, trace: Trace) -> dict[str, Any]:
    if isinstance(said, Delta):
        return {"text": said.text, "tokens": said.tokens}
    return {"done": True} | _traced(said, trace)


def _respond(reply: SummaryReply, trace: Trace) -> Response:
    if not reply.results:
        first = reply.failures[0]
        error = InvalidRequest(f"inputs.{first.index}: {first.error}")
        return refuse(error, trace, code=first.error.code, errors=[failure_body(failure) for failure in reply.failures])
    return json_response(_traced(reply, trace))


def _traced(reply: SummaryReply, trace: Trace) -> dict[str, Any]:
    body = answer_body(reply, total_s=time.perf_counter() - trace.started)
    trace.tokens = sum(result.tokens for result in reply.results)
    trace.model = body["model"]
    trace.timings_ms = {stage: spent for stage, spent in body["timings_ms"].items() if spent is not None}
    return body


def _result(result: Summarized, head: Summarized | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "index": result.index,
        "summary": result.summary,
        "method": result.method,
        "kind": result.kind,
        "finish_reason": result.finish_reason,
        "language": result.language,
        "tokens": result.tokens,
        "summary_tokens": result.summary_tokens,
        "truncated": result.truncated,
    }
    if head and (result.model, result.version) != (head.model, head.version):
        body |= {"model": result.model, "version": result.version}
        body |= {"alias": result.alias} if result.alias else {}
    if result.sentences is not None:
        body["sentences"] = [
            {
                "text": result.text[one.start : one.end],
                "start": one.start,
                "end": one.end,
                "score": round(one.score, DIGITS),
            }
            | ({} if one.rewritten is None else {"rewritten": one.rewritten})
            for one in result.sentences
        ]
    if result.explanation is not None:
        body["explanation"] = [
            {
                "token": one.piece.replace(SPACE, " "),
                "text": result.text[one.start : one.end],
                "start": one.start,
                "end": one.end,
                "copied": one.copied,
            }
            for one in result.explanation
        ]
    return body
