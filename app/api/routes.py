"""Routes that answer as Starlette's, and of which FastAPI learns once somebody asks for its document.

Every endpoint reads its request itself and answers with a response, so FastAPI's dependencies, validation and
serialization have nothing to do there, and cost more than all of that. What it makes of a route's models is for the
document alone: at each process's start it was two thirds of making the application.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

Endpoint = Callable[[Request], Awaitable[Response]]
Told = Callable[[], Mapping[str, Any]]
"""Says what the document tells of a route, as arguments of FastAPI's ``add_api_route``."""


class Routes:
    """Some routes, under one heading of the document."""

    def __init__(self, tag: str) -> None:
        """``tag``: the heading."""
        self._tag = tag
        self._added: list[_Added] = []

    def add(self, method: str, path: str, endpoint: Endpoint, told: Told) -> None:
        """Answer ``method`` on ``path`` with what ``endpoint`` returns."""
        self._added.append(_Added(method, path, endpoint, told))

    @property
    def paths(self) -> list[str]:
        """The path of each route."""
        return [route.path for route in self._added]

    def answering(self) -> list[BaseRoute]:
        """Return what answers requests."""
        return [_Plain(route) for route in self._added]

    def documented(self) -> list[BaseRoute]:
        """Return what FastAPI makes its document of."""
        router = APIRouter(tags=[self._tag])
        for method, path, endpoint, told in self._added:
            router.add_api_route(path, endpoint, methods=[method], response_model=None, **told())
        return router.routes


class _Added(NamedTuple):
    method: str
    path: str
    endpoint: Endpoint
    told: Told


class _Plain(Route):
    """A route of Starlette whose requests are counted by its template and not by their own path."""

    def __init__(self, added: _Added) -> None:
        super().__init__(added.path, added.endpoint, methods=[added.method])
        self.methods = {added.method}  # HEAD is not served, as FastAPI has it

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as Starlette does, and say which route it was."""
        match, found = super().matches(scope)
        return match, {**found, "route": self}
