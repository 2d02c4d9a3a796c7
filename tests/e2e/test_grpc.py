"""The protocol over gRPC against the real process, asked by NVIDIA's client from PyPI."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.oip.grpc import inference_pb2
from tests.foreign import session
from tests.packages import SUMMARIES, copy_package, copy_tiny
from tests.server import Server, serving

GOOD, BAD = "a good film, very good", "a bad film, very bad"
pytestmark = pytest.mark.timeout(600)  # the clients may have to be installed first


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a ready service that speaks gRPC too."""
    root = tmp_path_factory.mktemp("models")
    copy_tiny(root)
    copy_package(SUMMARIES, root, "writer")
    with serving(root, grpc_port=0) as running:
        yield running


@pytest.fixture(scope="module")
def told(server: Server) -> dict[str, Any]:
    """Return what the client tells of its session."""
    return session("triton_grpc.py", f"127.0.0.1:{server.logged('grpc_listening')['port']}")


def test_the_client_finds_the_server_and_its_models(told: dict[str, Any]) -> None:
    assert (told["live"], told["ready"], told["models ready"]) == (True, True, [True, True, False])
    assert told["server"]["name"] == "sluice"
    assert {one["name"] for one in told["model"]["inputs"]} == {"text", "ids", "lens"}
    assert {(one["name"], one["state"]) for one in told["index"]["models"]} == {("tiny", "READY"), ("writer", "READY")}
    assert told["statistics"]["model_stats"][0]["name"] == "tiny"


def test_the_answers_are_those_of_v1(told: dict[str, Any], server: Server) -> None:
    own = httpx.post(f"{server.url}/v1/sentiment", json={"inputs": [GOOD, BAD]}).json()["results"]
    assert (told["id"], told["version"]) == ("seven", "1")
    assert told["labels"] == [result["label"] for result in own]
    for row, result in zip(told["scores"], own, strict=True):
        assert row == pytest.approx(list(result["scores"].values()), abs=2e-6)


def test_token_ids_as_typed_contents_get_the_logits_of_rest(told: dict[str, Any], server: Server) -> None:
    ids = {"name": "ids", "shape": [2, 2], "datatype": "INT64", "data": [5, 6, 7, 8]}
    own = httpx.post(f"{server.url}/v2/models/tiny/infer", json={"inputs": [ids]}).json()["outputs"][0]["data"]
    assert told["logits"] == pytest.approx(own, abs=2e-6)


def test_a_stream_answers_each_request_and_a_refused_one_ends_no_other(told: dict[str, Any]) -> None:
    first, refused, last = told["streamed"]
    assert (first, last) == ("positive", "negative")
    assert refused.startswith("text.0: the text is empty")


def test_errors_have_the_codes_of_grpc(told: dict[str, Any]) -> None:
    found = told["refusals"]
    assert found["unknown model"][0] == "StatusCode.NOT_FOUND"
    assert "'nobody' is not here" in found["unknown model"][1]
    assert found["no text"][0] == "StatusCode.INVALID_ARGUMENT"
    assert found["too late"][0] == "StatusCode.DEADLINE_EXCEEDED"


def test_calls_are_counted_and_logged_as_requests_are(told: dict[str, Any], server: Server) -> None:
    assert told["live"]
    call = "/inference.GRPCInferenceService/ModelInfer"
    assert server.metric("sluice_requests_total", route=call, code="200") >= 2
    assert server.metric("sluice_requests_total", route=call, code="404") == 1


def test_our_messages_are_the_clients_own(told: dict[str, Any]) -> None:
    for message in inference_pb2.DESCRIPTOR.message_types_by_name.values():
        theirs = [tuple(field) for field in told["fields"][message.full_name]]
        for field in message.fields:
            assert (field.number, field.name, field.type) in theirs, message.full_name


def test_a_drained_service_ends_its_calls_and_exits_well(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    with serving(tmp_path, grpc_port=0) as running:
        assert running.stop() == 0
