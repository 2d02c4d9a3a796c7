"""The routes of /v2: the Open Inference Protocol, with Triton's extensions of it."""

from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from app.api.admin_schemas import ChangeReport
from app.api.body import json_response
from app.api.disconnect import CancelledWhenGone
from app.api.events import MEDIA_TYPE
from app.api.examples import answers
from app.api.haste import PARAMETERS
from app.api.ledger import CLIENT_CLOSED
from app.api.oip import metadata, schemas
from app.api.oip.answering import Answering
from app.api.oip.generate import generate, generate_stream
from app.api.oip.repository import Repository
from app.api.oip.statistics import statistics
from app.api.oip.wire import parse, read, refuse_media_type, write
from app.api.predict import STATUSES
from app.api.routes import Endpoint, Routes
from app.api.trace import trace_of
from app.runtime.model import Model

HTTP_OK = 200
_MODEL, _VERSION = "/v2/models/{name}", "/versions/{version}"
_PATHS = {_MODEL: "a package", _MODEL + _VERSION: "one version of a package"}
_POSTS = tuple(f"{path}/{verb}" for verb in ("infer", "generate", "generate_stream") for path in _PATHS)
_CHANGES = tuple(f"/v2/repository/models/{{name}}/{verb}" for verb in ("load", "unload"))
STATUSES_BY_PATH: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("/v2", "/v2/", "/v2/health/live", "/v2/models/stats"), (200,)),
    "/v2/health/ready": (200, 503),
    **{_MODEL + more: (200, 404, 503) for more in ("", "/ready", _VERSION, f"{_VERSION}/ready")},
    **{_MODEL + more: (200, 404, 503) for more in ("/stats", f"{_VERSION}/stats")},
    **dict.fromkeys(_POSTS, (200, *STATUSES)),
    "/v2/repository/index": (200, 400, 405, 413, 415, 422),
    **dict.fromkeys(_CHANGES, (200, 400, 404, 405, 409, 413, 415, 500)),
}
"""Every path of the protocol, and what it may answer."""

_INFER = """\
Inputs are those of one of the package's signatures, which `GET /v2/models/{name}` tells: `text` (`BYTES`), or token
ids. A text without an answer has its error's code in the output `errors` and nothing in the others; where `outputs` are
named and `errors` is not among them, or not one text has an answer, the request is refused with 422.

Tensors in binary stand behind the JSON, whose length the header Inference-Header-Content-Length tells, both ways."""
_GENERATE = "For packages that write or quote; the parameters are those of an inference request for summaries."


def routes(answering: Answering, repository: Repository) -> Routes:
    """Return the routes over ``answering``."""
    found = Routes("open inference protocol")
    _add_server(found, answering)
    _add_models(found, answering)
    _add_asking(found, answering)
    _add_changes(found, repository)
    return found


def _add_server(routes: Routes, answering: Answering) -> None:
    async def server(_: Request) -> Response:
        """Tell the server's name, version and extensions of the protocol."""
        return json_response(metadata.of_server())

    async def live(_: Request) -> Response:
        """Answer 200 as long as the event loop turns."""
        return json_response({"live": True})

    async def ready(_: Request) -> Response:
        """Answer 200 once every package is opened and warmed up; 503 before, while draining, and while models hang."""
        answering.service.refuse_unless_fit()
        return json_response({"ready": True})

    async def index(request: Request) -> Response:
        """List every version of every package with its state, those that were refused with the reason."""
        refuse_media_type(request)
        asked = parse(schemas.IndexRequest, await request.body() or b"{}")
        return json_response(metadata.index(answering.registry, ready_alone=asked.ready))

    _get(routes, "/v2", server, "Tell of the server", schemas.ServerMetadata)
    # the protocol's own document writes it with the slash
    routes.add("GET", "/v2/", server, lambda: {"include_in_schema": False})
    _get(routes, "/v2/health/live", live, "Is the process alive? As the protocol asks", schemas.Live)
    _get(routes, "/v2/health/ready", ready, "May it get requests? As the protocol asks", schemas.Ready)
    _post(
        routes,
        "/v2/repository/index",
        index,
        "List every version",
        ok=list[schemas.IndexEntry],
        form=schemas.IndexRequest,
    )


def _add_models(routes: Routes, answering: Answering) -> None:
    async def every(_: Request) -> Response:
        """Tell what each package has done since the service started."""
        return json_response(statistics(answering.service.metrics, answering.registry.ready))

    async def tell(request: Request) -> Response:
        """Tell a package's versions, inputs and outputs, and what its manifest says of them."""
        return json_response(metadata.of_model(answering.registry, answering.model(*_named(request))))

    async def ready(request: Request) -> Response:
        """Answer 200 where the package answers, and 503 where it was refused or the service takes no work."""
        answering.service.refuse_unless_ready()
        return json_response({"name": answering.model(*_named(request)).name, "ready": True})

    async def stats(request: Request) -> Response:
        """Tell what a package has done since the service started, on every route: one version, or each that answers."""
        name, version = _named(request)
        found = [answering.model(name, version)]
        if version is None:
            found = [entry for entry in answering.registry.versions(name).values() if isinstance(entry, Model)]
        return json_response(statistics(answering.service.metrics, found))

    _get(routes, "/v2/models/stats", every, "Figures of every package", schemas.Statistics)
    for path, which in _PATHS.items():
        _get(routes, f"{path}/ready", ready, f"Does {which} answer?", schemas.ModelReady)
        _get(routes, f"{path}/stats", stats, f"Figures of {which}", schemas.Statistics)
        _get(routes, path, tell, f"Tell of the inputs and outputs of {which}", schemas.ModelMetadata)


def _add_asking(routes: Routes, answering: Answering) -> None:
    async def infer(request: Request) -> Response:
        trace = trace_of(request.scope)
        refuse_media_type(request)
        answering.service.refuse_unless_ready()  # before the body is read: it would be read for nothing
        asked = read(request, await request.body(), *_named(request))
        trace.items = max((len(one.array) for one in asked.inference.inputs if one.array.ndim), default=0)
        async with CancelledWhenGone(request.receive) as client:
            found = await answering.infer(asked.inference)
        if client.gone:
            return Response(status_code=CLIENT_CLOSED)
        trace.model, trace.tokens = found.model, found.tokens
        return write(found, asked)

    async def whole(request: Request) -> Response:
        return await generate(answering, request, *_named(request))

    async def streamed(request: Request) -> Response:
        return await generate_stream(answering, request, *_named(request))

    answer, wish = schemas.InferenceResponse, schemas.GenerateRequest
    for path, which in _PATHS.items():
        _post(routes, f"{path}/infer", infer, f"Ask {which}", ok=answer, form=schemas.InferenceRequest, more=_INFER)
        _post(
            routes,
            f"{path}/generate",
            whole,
            f"Summarize by {which}",
            ok=schemas.GenerateResponse,
            form=wish,
            more=_GENERATE,
        )
        told = f"Summarize by {which}, as it is decided"
        _post(routes, f"{path}/generate_stream", streamed, told, ok=None, form=wish, more=_GENERATE)


def _add_changes(routes: Routes, repository: Repository) -> None:
    async def load(request: Request) -> Response:
        """Open every version that is on disk, anew where it is open; in every process or in none."""
        refuse_media_type(request)
        asked = parse(schemas.ChangeRequest, await request.body() or b"{}")
        return json_response(await repository.load(request.path_params["name"], asked.parameters or {}))

    async def unload(request: Request) -> Response:
        """Close every version; the package stays closed until it is loaded."""
        refuse_media_type(request)
        parse(schemas.ChangeRequest, await request.body() or b"{}")
        return json_response(await repository.unload(request.path_params["name"]))

    form = schemas.ChangeRequest
    for path, endpoint, summary in zip(_CHANGES, (load, unload), ("Open a package", "Close a package"), strict=True):
        _post(routes, path, endpoint, summary, ok=ChangeReport, form=form)


def _named(request: Request) -> tuple[str, str | None]:
    return request.path_params["name"], request.path_params.get("version")


def _get(routes: Routes, path: str, endpoint: Endpoint, summary: str, model: Any) -> None:
    routes.add("GET", path, endpoint, partial(_told_of_get, path, summary, model))


def _told_of_get(path: str, summary: str, model: Any) -> dict[str, Any]:
    return {
        "name": f"v2 {summary}",
        "summary": summary,
        "responses": answers(*_refusals(path), ok={"model": model}),
        "openapi_extra": {"parameters": _parameters(path)},
    }


def _post(
    routes: Routes, path: str, endpoint: Endpoint, summary: str, *, ok: Any, form: type[BaseModel], more: str = ""
) -> None:
    """Add a route whose answer is an ``ok`` or, for ``None``, a stream of events."""
    routes.add("POST", path, endpoint, partial(_told_of_post, path, summary, ok, form, more))


def _told_of_post(path: str, summary: str, ok: Any, form: type[BaseModel], more: str) -> dict[str, Any]:
    events = {"content": {MEDIA_TYPE: {"schema": schemas.GenerateEvent.model_json_schema()}}}
    required = any(field.is_required() for field in form.model_fields.values())
    body = {"required": required, "content": {"application/json": {"schema": form.model_json_schema()}}}
    return {
        "name": f"v2 {summary}",
        "summary": summary,
        "description": more or None,
        "responses": answers(*_refusals(path), ok=events if ok is None else {"model": ok}, of_summaries=True),
        "openapi_extra": {"parameters": [*_parameters(path), *PARAMETERS], "requestBody": body},
    }


def _refusals(path: str) -> list[int]:
    return [status for status in STATUSES_BY_PATH[path] if status != HTTP_OK]


def _parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
