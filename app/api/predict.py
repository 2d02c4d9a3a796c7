"""POST /v1/<task>: texts in, answers out."""

import time
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from app.api.body import json_response
from app.api.disconnect import CancelledWhenGone
from app.api.examples import answer_examples, answers, request_examples
from app.api.haste import PARAMETERS
from app.api.ledger import CLIENT_CLOSED
from app.api.refusal import refuse
from app.api.routes import Endpoint, Routes
from app.api.schemas import PredictRequest, PredictResponse, parse_request
from app.api.trace import Trace, trace_of
from app.errors import InvalidRequest, UnsupportedMediaType
from app.exchange import Failure, Labelled, Query, Reply, Result, Timings
from app.modelpack.manifest import CLASSIFYING, Classifying
from app.service import Service
from app.tasks.classify import DIGITS, Classified

STATUSES = (400, 404, 405, 413, 415, 422, 429, 500, 503, 504)
"""What a prediction route answers beside 200."""

# curl calls a body a form unless it is told otherwise; the body is read as JSON all the same
_READ_AS_JSON = {"", "application/json", "application/x-www-form-urlencoded"}
_SUMMARIES: dict[Classifying, str] = {
    "sentiment": "Judge texts: negative, neutral or positive",
    "topic": "Tell what texts are about",
    "classify": "Classify texts by labels of your own",
}
_LABELS: dict[Classifying, str] = {
    "sentiment": "The labels are negative, neutral and positive, or the two of them that the package knows.",
    "topic": "The labels are the package's; GET /v1/models lists them.",
    "classify": "The labels are those that the package was trained on; GET /v1/models lists them. `model` may be left "
    "out where a single package of this task serves the text's language, or one called `classify-<language>`.",
}
_ITEMS = (
    "Each text is answered on its own. One that has no answer is an entry in `errors`, and the others are answered. "
    "Where not one text has an answer the status is 422."
)


def path_of(task: Classifying) -> str:
    """Return the path of a task's route."""
    return f"/v1/{task}"


def routes(service: Service) -> Routes:
    """Return the prediction routes over ``service``, one a task; they differ in which packages may answer."""
    found = Routes("predict")
    for task in CLASSIFYING:
        found.add("POST", path_of(task), _endpoint(service, task), partial(_told, task))
    return found


def _told(task: Classifying) -> dict[str, Any]:
    body = {"schema": PredictRequest.model_json_schema(), "examples": request_examples(task)}
    return {
        "name": task,
        "summary": _SUMMARIES[task],
        "description": f"{_LABELS[task]}\n\n{_ITEMS}",
        "responses": answers(*STATUSES, ok={"model": PredictResponse} | answer_examples(task)),
        "openapi_extra": {
            "parameters": PARAMETERS,
            "requestBody": {"required": True, "content": {"application/json": body}},
        },
    }


def _endpoint(service: Service, task: Classifying) -> Endpoint:
    async def predict(request: Request) -> Response:
        trace = trace_of(request.scope)
        refuse_media_type(request)
        service.refuse_unless_ready()  # before the body is read: it would be read for nothing
        service.refuse_unless_soon(trace.haste)
        asked = parse_request(PredictRequest, await request.body())
        trace.items = len(asked.inputs)
        async with CancelledWhenGone(request.receive) as client:
            reply = await service.answer(task, query_of(asked, trace))
        if client.gone:
            return Response(status_code=CLIENT_CLOSED)
        return _respond(reply, trace)

    return predict


def query_of(asked: PredictRequest, trace: Trace) -> Query:
    """Return what a request asks of its texts."""
    return Query(
        asked.inputs,
        asked.model,
        asked.version,
        asked.language,
        asked.explain,
        asked.sentences,
        allowance=trace.allowance,
        haste=trace.haste,
        key=trace.sticky_key,
    )


def refuse_media_type(request: Request) -> None:
    """Raise ``UnsupportedMediaType`` where a body cannot be read as JSON."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise UnsupportedMediaType(f"Content-Encoding is {encoding!r}; expected none")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _READ_AS_JSON and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"Content-Type is {media_type!r}; expected application/json")


def _respond(reply: Reply, trace: Trace) -> Response:
    if not reply.results:
        first = reply.failures[0]
        error = InvalidRequest(f"inputs.{first.index}: {first.error}")
        return refuse(error, trace, code=first.error.code, errors=[failure_body(failure) for failure in reply.failures])
    return json_response(answered(reply, trace))


def answered(reply: Reply | Labelled, trace: Trace) -> dict[str, Any]:
    """Return the JSON of a reply that has results, and put into its trace what the log says of it."""
    total_s = time.perf_counter() - trace.started
    if isinstance(reply, Labelled):
        body, trace.tokens = labelled_body(reply, total_s), sum(reply.tokens)
    else:
        body, trace.tokens = answer_body(reply, total_s), sum([result.tokens for result in reply.results])
    trace.model = body["model"]
    trace.timings_ms = body["timings_ms"]
    return body


def answer_body(reply: Reply, total_s: float) -> dict[str, Any]:
    """Return the JSON of a reply; the model named at its head is the first result's."""
    head = reply.results[0] if reply.results else None
    return {
        "model": head and head.model,
        "version": head and head.version,
        **({"alias": head.alias} if head and head.alias else {}),
        "results": [result_body(result, head) for result in reply.results],
        "errors": [failure_body(failure) for failure in reply.failures],
        "timings_ms": timings_body(reply.timings, total_s),
    }


def labelled_body(reply: Labelled, total_s: float) -> dict[str, Any]:
    """Return the JSON that ``answer_body`` returns of the same answers."""
    columns = zip(reply.answers, reply.languages, reply.tokens, reply.truncated, strict=True)
    return {
        "model": reply.model,
        "version": reply.version,
        **({"alias": reply.alias} if reply.alias else {}),
        "results": [
            {
                "index": index,
                "label": label,
                "score": scores[label],
                "scores": scores,
                "language": language,
                "tokens": tokens,
                "truncated": truncated,
            }
            for index, ((label, scores), language, tokens, truncated) in enumerate(columns)
        ],
        "errors": [],
        "timings_ms": timings_body(reply.timings, total_s),
    }


def timings_body(timings: Timings, total_s: float) -> dict[str, float]:
    """Return the JSON of where a request's time went, in milliseconds."""
    return {
        "tokenize": milliseconds(timings.tokenize),
        "queue": milliseconds(timings.queue),
        "infer": milliseconds(timings.infer),
        "total": milliseconds(total_s),
    }


def result_body(result: Result, head: Result | None) -> dict[str, Any]:
    """Return the JSON of one text's answer; its package is named where it is another than that of ``head``."""
    body: dict[str, Any] = {
        "index": result.index,
        **_classified(result.answer),
        "language": result.language,
        "tokens": result.tokens,
        "truncated": result.truncated,
    }
    if head and (result.model, result.version) != (head.model, head.version):
        body |= {"model": result.model, "version": result.version}
        body |= {"alias": result.alias} if result.alias else {}
    if result.explanation is not None:
        body["explanation"] = [
            {
                "text": result.text[token.start : token.end],
                "start": token.start,
                "end": token.end,
                "weight": round(token.weight, DIGITS),
            }
            for token in result.explanation
        ]
    if result.sentences is not None:
        body["sentences"] = [
            {"start": sentence.start, "end": sentence.end, **_classified(sentence.answer)}
            for sentence in result.sentences
        ]
        if result.sentences_left_out:
            body["sentences_left_out"] = result.sentences_left_out
    return body


def _classified(answer: Classified) -> dict[str, Any]:
    scores = {label: round(score, DIGITS) for label, score in answer.scores.items()}
    return {"label": answer.label, "score": scores[answer.label], "scores": scores}


def failure_body(failure: Failure) -> dict[str, Any]:
    """Return the JSON of one text's error."""
    return {"index": failure.index, "code": failure.error.code, "message": str(failure.error)}


def milliseconds(seconds: float) -> float:
    """Return a time as answers give it."""
    return round(seconds * 1_000_000) / 1000  # as a whole number first, which is rounded in a third of the time
