"""What /v2 answers is what the protocol's published OpenAPI says, whoever asks and whatever comes of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from tests.app.api.conftest import clients
from tests.packages import CHINESE, FIXTURES, SUMMARIES, TOPIC, copy_package, copy_tiny

PUBLISHED: dict[str, Any] = yaml.safe_load((FIXTURES / "oip" / "rest.yaml").read_text("utf-8"))
INFER = "/v2/models/{name}/versions/{version}/infer"
TEXT = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["In Oslo, Ann opens the old bridge."]}
IDS = {"name": "ids", "shape": [2, 2], "datatype": "INT64", "data": [[5, 6], [7, 8]]}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Yield a client of packages of several tasks."""
    root = tmp_path_factory.mktemp("models")
    copy_tiny(root)
    copy_package(CHINESE, root, "chinese")
    copy_package(TOPIC, root, "topics")
    copy_package(SUMMARIES, root, "writer")
    with clients() as make:
        yield make(root)


def check(name: str, found: object) -> None:
    schema = {"$ref": f"#/components/schemas/{name}"} | {"components": PUBLISHED["components"]}
    Draft202012Validator(schema).validate(found)


def test_the_schema_written_down_is_one() -> None:
    for schema in PUBLISHED["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", [path for path, methods in PUBLISHED["paths"].items() if "get" in methods])
def test_every_get_route_answers_as_published(asked: TestClient, path: str) -> None:
    answer = asked.get(path.format(name="tiny", version="1"))
    assert answer.status_code == 200
    wanted = PUBLISHED["paths"][path]["get"].get(200)
    if wanted is not None:
        check(wanted, answer.json())


@pytest.mark.parametrize("name", ["tiny", "chinese", "topics", "writer"])
def test_every_packages_metadata_is_as_published(asked: TestClient, name: str) -> None:
    check("metadata_model_response", asked.get(f"/v2/models/{name}").json())


@pytest.mark.parametrize("tensor", [TEXT, IDS], ids=["text", "ids"])
@pytest.mark.parametrize("name", ["tiny", "topics", "writer"])
def test_every_inference_is_as_published(asked: TestClient, name: str, tensor: dict[str, Any]) -> None:
    body = {"id": "x", "inputs": [tensor]}
    check("inference_request", body)
    answer = asked.post(INFER.format(name=name, version=1), json=body)
    assert answer.status_code == 200
    check("inference_response", answer.json())


def test_generation_is_as_published(asked: TestClient) -> None:
    wish = {"text_input": TEXT["data"][0], "parameters": {"max_tokens": 5}}
    check("GenerateRequest", wish)
    check("GenerateResponse", asked.post("/v2/models/writer/generate", json=wish).json())
    events = asked.post("/v2/models/writer/generate_stream", json=wish).text.split("\n\n")
    for event in events:
        if event:
            check("GenerateStreamResponse", json.loads(event.removeprefix("data: ")))


_VALUES = st.one_of(st.integers(-3, 300), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text())
_TENSORS = st.fixed_dictionaries(
    {
        "name": st.one_of(st.sampled_from(["text", "ids", "lens", "x"]), st.text()),
        "shape": st.lists(st.integers(-1, 4), max_size=4),
        "datatype": st.one_of(st.sampled_from(["BYTES", "INT64", "FP32", "BOOL"]), st.text()),
        "data": st.one_of(st.lists(_VALUES, max_size=6), st.lists(st.lists(_VALUES, max_size=3), max_size=3)),
    }
)
_OUTPUTS = st.lists(st.fixed_dictionaries({"name": st.sampled_from(["labels", "scores", "logits", "errors", "x"])}))
_BODIES = st.fixed_dictionaries(
    {"inputs": st.lists(_TENSORS, max_size=3)}, optional={"id": st.text(), "outputs": _OUTPUTS}
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=_BODIES)
def test_any_request_of_the_published_form_is_answered_or_refused_as_published(
    asked: TestClient, body: dict[str, Any]
) -> None:
    check("inference_request", body)
    answer = asked.post(INFER.format(name="tiny", version=1), json=body)
    assert answer.status_code in {200, 400, 413, 422}
    check("inference_response" if answer.status_code == 200 else "inference_error_response", answer.json())
