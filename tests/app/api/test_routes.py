"""Routes answer at once, and say what the document tells of them once it is asked for."""

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.api.routes import Routes


async def _name(request: Request) -> Response:
    """Answer with the name."""
    return PlainTextResponse(f"{request.path_params['name']} by {request.scope['route'].path}")


@pytest.fixture
def asked() -> list[str]:
    """Return what was told of routes so far."""
    return []


@pytest.fixture
def routes(asked: list[str]) -> Routes:
    """Return one route that notes when it is told of."""

    def told() -> dict[str, str]:
        asked.append("told")
        return {"summary": "A name"}

    found = Routes("names")
    found.add("GET", "/names/{name}", _name, told)
    return found


def test_an_endpoint_answers_and_its_request_knows_the_route(routes: Routes, asked: list[str]) -> None:
    answer = TestClient(Starlette(routes=routes.answering())).get("/names/ada")
    assert (answer.status_code, answer.text) == (200, "ada by /names/{name}")
    assert not asked


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_only_its_own_method_is_served(routes: Routes, method: str) -> None:
    assert TestClient(Starlette(routes=routes.answering())).request(method, "/names/ada").status_code == 405


def test_what_is_told_comes_with_the_document(routes: Routes, asked: list[str]) -> None:
    (route,) = routes.documented()
    assert isinstance(route, Route)
    assert (route.path, route.methods) == ("/names/{name}", {"GET"})
    assert (getattr(route, "summary", None), getattr(route, "tags", None)) == ("A name", ["names"])
    assert asked == ["told"]


def test_paths_are_those_of_the_routes(routes: Routes) -> None:
    assert routes.paths == ["/names/{name}"]
