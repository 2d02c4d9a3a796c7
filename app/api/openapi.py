"""What the guard may answer on every route, told in the OpenAPI document beside what the routes say of themselves."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.access import OPEN, SCOPES
from app.api.events import MEDIA_TYPE as EVENTS
from app.api.examples import refusal_of
from app.api.routes import Routes

GUARDED = (400, 408, 413, 431, 503)
"""What any route may answer before it is reached."""
KEYED = (401, 403)
"""What a route that needs a key may answer beside."""

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, where the service asks for keys."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}


def guard_statuses(path: str) -> tuple[int, ...]:
    """Return the HTTP statuses that the guard may answer on a path."""
    return GUARDED if SCOPES.get(path, OPEN) == OPEN else GUARDED + KEYED


def _event_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a server-sent event whose data is JSON of the form ``data``."""
    told = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {"type": "object", "properties": {"data": told}, "required": ["data"]}


def install(app: FastAPI, routes: Sequence[Routes]) -> None:
    """Make the application's document one of ``routes``, of keys and of the guard's refusals, once it is asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, routes)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI, routes: Sequence[Routes]) -> dict[str, Any]:
    documented = [route for some in routes for route in some.documented()]
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=documented)
    _lift_definitions(document)
    document["components"]["securitySchemes"] = _SCHEMES
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _describe(path, operation)
    return document


def _lift_definitions(document: dict[str, Any]) -> None:
    """Move what schemas define for themselves to where their references look: the root is the document's."""
    schemas = document["components"]["schemas"]

    def lift(part: Any) -> None:
        for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            lift(one)
        if isinstance(part, dict):
            for name, schema in part.pop("$defs", {}).items():
                schemas.setdefault(name, schema)
            reference = part.get("$ref")
            if isinstance(reference, str):
                part["$ref"] = reference.replace("#/$defs/", "#/components/schemas/")

    lift(document["paths"])


def _describe(path: str, operation: dict[str, Any]) -> None:
    """Add to one operation; a route that may be open, by the settings, takes no key as well."""
    scope = SCOPES.get(path, OPEN)
    if scope != OPEN:
        operation["security"] = [{name: []} for name in _SCHEMES] + ([] if scope == "admin" else [{}])
    for status in guard_statuses(path):
        operation["responses"].setdefault(str(status), refusal_of(status))
    for answer in operation["responses"].values():
        events = answer.get("content", {}).get(EVENTS)
        if events is not None:
            events["schema"] = _event_of(events["schema"])
    operation["responses"] = dict(sorted(operation["responses"].items()))
