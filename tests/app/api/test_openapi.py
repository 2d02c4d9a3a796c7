"""The OpenAPI document as a whole."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.api.events import MEDIA_TYPE
from app.main import create_app
from app.settings import Settings
from tests.packages import PACKAGES


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(models_dir=PACKAGES)).openapi()


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    for one in part if isinstance(part, list) else ():
        yield from references(one)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    for reference in found:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in target, reference
            target = target[step]


def test_a_server_sent_event_has_its_json_in_its_data(document: dict[str, Any]) -> None:
    for path in ("/v1/summarize", "/v2/models/{name}/generate_stream"):
        event = document["paths"][path]["post"]["responses"]["200"]["content"][MEDIA_TYPE]["schema"]
        assert event["required"] == ["data"]
        assert event["properties"]["data"]["contentMediaType"] == "application/json"


def test_a_body_that_may_be_left_out_is_told_so(document: dict[str, Any]) -> None:
    bodies = {
        path: operations["post"]["requestBody"]
        for path, operations in document["paths"].items()
        if "requestBody" in operations.get("post", {})
    }
    assert not bodies["/v2/repository/index"]["required"]
    assert bodies["/v1/sentiment"]["required"]
