"""POST /v1/<task>/bulk: lines of texts in, lines of answers out, for as long as the client sends and reads."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response

from app.api.examples import answers
from app.api.linestream import LineStream, Manners
from app.api.ndjson import MEDIA_TYPE
from app.api.predict import path_of as predict_path
from app.api.routes import Endpoint, Routes
from app.api.schemas import PredictRequest, parse_request
from app.api.trace import trace_of
from app.api.unpacking import Unpacking
from app.bulk import Bulk
from app.errors import InvalidRequest, QueueFull, UnsupportedMediaType
from app.exchange import Query
from app.keys.allowance import Allowance
from app.modelpack.manifest import CLASSIFYING, Classifying
from app.service import Service
from app.settings import Settings

STATUSES = (404, 405, 408, 415, 422, 429, 500, 503)
"""What a bulk route answers beside 200, before its first line."""

_READ_AS_LINES = {
    *("", "application/x-www-form-urlencoded", "application/octet-stream", "text/plain"),  # what clients send unasked
    *(MEDIA_TYPE, "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json"),
}
_OPTIONS = {name: field for name, field in PredictRequest.model_fields.items() if name != "inputs"}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_DESCRIPTION = """\
A line is a JSON string, or `{"text": ..., "id": ...}`. The answers come in the order of the lines, while the client
still sends: one line each, with the line's `index` (from 0) and its `id`, if it has one. A line without an answer is
`{"index", "code", "message"}`, and the others are answered. Empty lines are counted and not answered. An answer that
ends with `{"error", "code", "request_id"}` is not whole.

The body has no bound, a line has (SLUICE_MAX_BULK_LINE_BYTES, SLUICE_MAX_ITEM_CHARS). It may be packed by gzip. No more
is read while the client
does not read: read while you send. Requests for single texts go first."""
_EXAMPLE_LINES = '"A warm and funny film."\n{"id": 7, "text": "The battery died within a week."}\n{"id": 8}\n'
_EXAMPLE_ANSWERS = """\
{"index":0,"label":"positive","score":0.98,"scores":{...},"language":"en","tokens":6,"truncated":false,...}
{"index":1,"id":7,"label":"negative","score":0.95,"scores":{...},"language":"en","tokens":7,"truncated":false,...}
{"index":2,"id":8,"code":"invalid_line","message":"text is missing; expected ..."}
"""


def path_of(task: Classifying) -> str:
    """Return the path of a task's bulk route."""
    return f"{predict_path(task)}/bulk"


PATHS = frozenset(path_of(task) for task in CLASSIFYING)
"""The routes whose body is a stream without a bound."""


def routes(service: Service, settings: Settings) -> Routes:
    """Return the bulk routes over ``service``, one a task."""
    found = Routes("bulk")
    streams = _Streams(service, settings)
    for task in CLASSIFYING:
        found.add("POST", path_of(task), streams.endpoint(task), partial(_told, task))
    return found


def _told(task: Classifying) -> dict[str, Any]:
    lines = {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE_LINES}}
    return {
        "name": f"{task}_bulk",
        "summary": f"A stream of texts, as POST {predict_path(task)}",
        "description": _DESCRIPTION,
        "responses": answers(*STATUSES, ok={"content": {MEDIA_TYPE: {"example": _EXAMPLE_ANSWERS}}}),
        "openapi_extra": {"requestBody": {"required": False, "content": lines}, "parameters": _parameters()},
    }


class _Streams:
    """The streams that are open."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self._open = 0

    def endpoint(self, task: Classifying) -> Endpoint:
        settings = self._settings
        bulk = Bulk(self._service, settings.bulk_rows)
        manners = Manners(settings.max_bulk_line_bytes, settings.bulk_idle_s, settings.drain_s)

        async def answer(request: Request) -> Response:
            _refuse_media_type(request)
            unpacking = Unpacking(settings.max_body_bytes) if _is_packed(request) else None
            self._service.refuse_unless_ready()
            query = query_of(request.query_params, trace_of(request.scope).allowance)
            if self._open >= settings.max_bulk_streams:
                raise QueueFull(f"{self._open} bulk streams are open; expected at most {settings.max_bulk_streams}")
            self._open += 1
            way = LineStream(self._service, bulk, task, query, manners=manners, on_end=self._ended)
            way.unpacking = unpacking
            return way

        return answer

    def _ended(self) -> None:
        self._open -= 1


def query_of(parameters: Mapping[str, str], allowance: Allowance | None = None) -> Query:
    """Return what the address asks of each text; ``InvalidRequest`` names the parameter, its value and the form."""
    unknown = sorted(parameters.keys() - _OPTIONS.keys())
    if unknown:
        raise InvalidRequest(f"{unknown[0]} is no parameter of this route; expected some of {', '.join(_OPTIONS)}")
    values = {name: _value(name, text) for name, text in parameters.items()}
    asked = parse_request(PredictRequest, orjson.dumps({**values, "inputs": ["-"]}))
    return Query([], asked.model, asked.version, asked.language, asked.explain, asked.sentences, allowance)


def _value(name: str, text: str) -> Any:
    if _OPTIONS[name].annotation is bool:
        return _TRUTH.get(text.lower(), text)
    return int(text) if name == "version" and text.isdecimal() else text


def _parameters() -> list[dict[str, Any]]:
    schemas = PredictRequest.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.description,
            "schema": {key: value for key, value in schemas[name].items() if key != "description"},
        }
        for name, field in _OPTIONS.items()
    ]


def _is_packed(request: Request) -> bool:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"}:
        raise UnsupportedMediaType(f"Content-Encoding is {encoding!r}; expected gzip or none")
    return encoding == "gzip"


def _refuse_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _READ_AS_LINES:
        raise UnsupportedMediaType(f"Content-Type is {media_type!r}; expected {MEDIA_TYPE}")
