"""/admin: changes of what is served. The guard lets nobody in without a key of the scope ``admin``."""

from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from app.api.admin_schemas import AliasesRequest, ChangeReport, ShadowRequest, version_of
from app.api.body import json_response
from app.api.examples import answers
from app.api.predict import refuse_media_type
from app.api.routes import Routes
from app.api.schemas import parse_request
from app.control import Control, Report, told
from app.runtime.changes import Change, Load, Reload, SetAliases, SetShadow, Unload
from app.runtime.traffic import Alias, Shadow

PREFIX = "/admin"
RELOAD = f"{PREFIX}/reload"
LOAD = f"{PREFIX}/models/{{name}}/versions/{{version}}/load"
UNLOAD = f"{PREFIX}/models/{{name}}/versions/{{version}}/unload"
ALIASES = f"{PREFIX}/models/{{name}}/aliases"
SHADOW = f"{PREFIX}/models/{{name}}/shadow"
PATHS = (RELOAD, LOAD, UNLOAD, ALIASES, SHADOW)
STATUSES = (400, 404, 405, 409, 413, 415, 422, 500)
"""What they answer beside 200."""

_EXAMPLE = {"workers": 2, "loaded": ["sentiment-en/4"], "unloaded": [], "refused": []}
_ALL_OR_NONE = (
    "Every process makes the change, or none does: the answer comes once all serve what was asked for, and requests "
    "under way finish on what they began with."
)


def routes(control: Control) -> Routes:
    """Return the routes over ``control``."""
    found = Routes("admin")

    async def answer(change: Change) -> Response:
        return json_response(_report(await control.change(change)))

    async def reload(_: Request) -> Response:
        return await answer(Reload())

    async def load(request: Request) -> Response:
        return await answer(Load(*_place(request)))

    async def unload(request: Request) -> Response:
        return await answer(Unload(*_place(request)))

    async def set_aliases(request: Request) -> Response:
        refuse_media_type(request)
        asked = parse_request(AliasesRequest, await request.body())
        aliases = {name: Alias(its.version, its.weight) for name, its in asked.aliases.items()}
        return await answer(SetAliases(request.path_params["name"], aliases))

    async def set_shadow(request: Request) -> Response:
        refuse_media_type(request)
        its = parse_request(ShadowRequest, await request.body()).shadow
        shadow = Shadow(its.version, its.share) if its is not None else None
        return await answer(SetShadow(request.path_params["name"], shadow))

    found.add("POST", RELOAD, reload, partial(_told, RELOAD))
    found.add("POST", LOAD, load, partial(_told, LOAD))
    found.add("POST", UNLOAD, unload, partial(_told, UNLOAD))
    found.add("PUT", ALIASES, set_aliases, partial(_told, ALIASES, AliasesRequest, _STABLE))
    found.add("PUT", SHADOW, set_shadow, partial(_told, SHADOW, ShadowRequest, _CANDIDATE))
    return found


_RELOAD = (
    "What is new or has changed is opened, verified and warmed up; what is gone is closed. What is refused leaves the "
    "version before it serving, and is told under `refused`. What an operator has unloaded stays so."
)
_LOAD = (
    "The version is opened, verified and warmed up, anew where it is open already, and then takes its place at once."
)
_UNLOAD = "The version answers no more, until it is loaded. One that an alias names has to be freed of it first."
_ALIASES = (
    "An alias names a version; `latest` is the highest that is open, and may be given a weight too. Requests that name "
    "no version are shared out by weight; where there is none, `stable` answers them or, without it, `latest`. Those "
    "that are left out are no longer aliases. The same X-Request-Key gets the same alias."
)
_SUMMARIES = {
    RELOAD: "Bring what is served in line with the models folder",
    LOAD: "Open a version from disk",
    UNLOAD: "Close a version",
    ALIASES: "Set a package's aliases and their weights",
    SHADOW: "Let a candidate answer a share of a package's texts too, unseen",
}
_STABLE = {"aliases": {"stable": {"version": 3, "weight": 95}, "canary": {"version": 4, "weight": 5}}}

_SHADOW = (
    "Once a request has its answer, its texts are put to the candidate as well, as far as no caller waits; the metrics "
    "say how often the two agree, and nobody is given the candidate's answers. `null` ends it; it ends by itself when "
    "the candidate is closed. For packages that classify. The same X-Request-Key is always of the share, or never."
)
_CANDIDATE = {"shadow": {"version": 4, "share": 0.1}}
_DESCRIPTIONS = {RELOAD: _RELOAD, LOAD: _LOAD, UNLOAD: _UNLOAD, ALIASES: _ALIASES, SHADOW: _SHADOW}


def _told(
    path: str, form: type[AliasesRequest | ShadowRequest] | None = None, example: dict[str, Any] | None = None
) -> dict[str, Any]:
    extra: dict[str, Any] = {"parameters": _parameters(path)}
    if form is not None:
        content = _json({"schema": form.model_json_schema(), "example": example})
        extra["requestBody"] = {"required": True, "content": content}
    return {
        "summary": _SUMMARIES[path],
        "description": f"{_DESCRIPTIONS[path]}\n\n{_ALL_OR_NONE}",
        "responses": answers(*STATUSES, ok={"model": ChangeReport, "content": _json({"example": _EXAMPLE})}),
        "openapi_extra": extra,
    }


def _place(request: Request) -> tuple[str, int]:
    return request.path_params["name"], version_of(request.path_params["version"])


def _report(report: Report) -> dict[str, Any]:
    return {"workers": report.workers, **told(report.outcome)}


def _json(what: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": what}


def _parameters(path: str) -> list[dict[str, Any]]:
    schemas = {"name": {"type": "string"}, "version": {"type": "integer", "minimum": 1}}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in schemas.items()
        if f"{{{name}}}" in path
    ]
