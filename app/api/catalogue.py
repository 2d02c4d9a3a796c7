"""GET /v1/models: what is served, and what was refused and why."""

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from app.api.body import json_response
from app.api.examples import answers, route_example
from app.api.routes import Routes
from app.api.schemas import ModelInfo, ModelList
from app.modelpack.manifest import Manifest
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.runtime.snapshot import Entry

ALL, ONE = "/v1/models", "/v1/models/{name}"


def routes(registry: Registry) -> Routes:
    """Return the listing routes over ``registry``."""
    found = Routes("models")

    async def models(_: Request) -> Response:
        """List packages with their versions, those that failed among them with the reason."""
        return json_response({"models": [describe(registry, name) for name in registry.names]})

    async def model(request: Request) -> Response:
        """Tell a package's task, languages, labels, versions, state, and the figures of its card."""
        return json_response(describe(registry, request.path_params["name"]))

    found.add("GET", ALL, models, _told_of_all)
    found.add("GET", ONE, model, _told_of_one)
    return found


def _told_of_all() -> dict[str, Any]:
    ok = {"model": ModelList, "content": route_example(ALL)}
    return {"summary": "List every package", "responses": answers(ok=ok)}


def _told_of_one() -> dict[str, Any]:
    ok = {"model": ModelInfo, "content": route_example(ONE)}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "summary": "Tell of one package",
        "responses": answers(404, ok=ok),
        "openapi_extra": {"parameters": [name]},
    }


def describe(registry: Registry, name: str) -> dict[str, Any]:
    """Return a package's listing; ``ModelNotFound`` where there is none of that name."""
    versions = registry.versions(name)
    opened = [entry for entry in versions.values() if isinstance(entry, Model)]
    manifest = opened[-1].manifest if opened else None
    listing: dict[str, Any] = {
        "name": name,
        "task": manifest and manifest.task,
        "description": manifest and manifest.description,
        "languages": manifest.languages if manifest else [],
        "labels": manifest.labels if manifest else [],
        "default_version": manifest and manifest.version,
        "default_for": registry.default_for(name),
        "aliases": _aliases(registry, name, manifest.version if manifest else None),
        "versions": [
            _version(number, entry, registry.now.troubles.get((name, number)))
            for number, entry in sorted(versions.items())
        ],
    }
    options = manifest and _options(manifest)
    candidate = registry.now.candidates.get(name)
    shadow = candidate and {"version": candidate.shadow.version, "share": candidate.shadow.share}
    return listing | ({"options": options} if options else {}) | ({"shadow": shadow} if shadow else {})


def _options(manifest: Manifest) -> dict[str, Any]:
    """Return what a request for a summary may set, with bounds and defaults: by kind, or of what is quoted."""
    if manifest.generation is not None:
        return {name: kind.model_dump(exclude={"id"}) for name, kind in manifest.generation.kinds.items()}
    return {"sentences": manifest.extraction.sentences.model_dump()} if manifest.extraction is not None else {}


def _aliases(registry: Registry, name: str, highest: int | None) -> dict[str, Any]:
    """Return what each alias stands for now."""
    found = registry.now.aliases(name)
    return {alias: {"version": its.version or highest, "weight": its.weight} for alias, its in found.items()}


def _version(number: int, entry: Entry, trouble: str | None) -> dict[str, Any]:
    if not isinstance(entry, Model):
        nothing = dict.fromkeys(("precision", "provider", "provider_note", "max_tokens"))
        empty: dict[str, Any] = {"calibration": None, "evaluation": []}
        return {"version": number, "state": entry.state, "reason": entry.reason, **nothing, **empty}
    return {
        "version": number,
        "state": "ready",
        "reason": trouble,
        "precision": entry.precision,
        "provider": entry.provider.device,
        "provider_note": entry.provider.note,
        "max_tokens": entry.manifest.its_limits and entry.manifest.its_limits.max_tokens,
        "calibration": entry.manifest.calibration and entry.manifest.calibration.model_dump(mode="json"),
        "evaluation": [figures.model_dump(mode="json") for figures in entry.manifest.evaluation],
    }
