"""/v2 over the tiny packages, without a socket: what a client of the protocol sees."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.app.api.conftest import MakeClient, clients
from tests.packages import SUMMARIES, copy_package, copy_tiny

GOOD, BAD = "a good film, very good", "a bad film, very bad"
NEWS = "In Oslo, Ann opens the old bridge. People came to look."


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Yield a client of two versions of a classifier, one that was refused, and one package that writes."""
    root = tmp_path_factory.mktemp("models")
    copy_tiny(root, "tiny", 1)
    copy_tiny(root, "tiny", 2)
    (copy_tiny(root, "tiny", 3) / "tokenizer.json").write_text("{}")
    copy_package(SUMMARIES, root, "writer")
    with clients() as make:
        yield make(root, max_items=4)


def texts(*data: str) -> dict[str, Any]:
    return {"name": "text", "shape": [len(data)], "datatype": "BYTES", "data": list(data)}


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["outputs"]}


def test_the_answer_is_that_of_v1(asked: TestClient) -> None:
    answer = asked.post("/v2/models/tiny/infer", json={"id": "seven", "inputs": [texts(GOOD, BAD)]})
    own = asked.post("/v1/sentiment", json={"inputs": [GOOD, BAD], "model": "tiny"}).json()["results"]
    found = outputs(answer)
    assert (answer.json()["id"], answer.json()["model_version"]) == ("seven", "2")
    assert found["labels"]["data"] == [result["label"] for result in own]
    labels = asked.get("/v2/models/tiny").json()["parameters"]["labels"]
    wanted = [result["scores"][label] for result in own for label in labels]
    assert found["scores"]["data"] == pytest.approx(wanted, abs=2e-6)
    assert found["scores"]["shape"] == [2, 3]
    assert found["errors"]["data"] == ["", ""]


def test_a_version_is_named_in_the_path(asked: TestClient) -> None:
    answer = asked.post("/v2/models/tiny/versions/1/infer", json={"inputs": [texts(GOOD)]})
    assert answer.json()["model_version"] == "1"
    assert asked.get("/v2/models/tiny").json()["versions"] == ["1", "2"]
    assert asked.get("/v2/models/tiny/versions/1/ready").status_code == 200
    assert asked.get("/v2/models/tiny/versions/3/ready").status_code == 503
    for unknown in ("9", "one", "9" * 100):
        assert asked.get(f"/v2/models/tiny/versions/{unknown}").status_code == 404


def test_a_text_without_an_answer_costs_its_neighbours_nothing(asked: TestClient) -> None:
    found = outputs(asked.post("/v2/models/tiny/infer", json={"inputs": [texts(GOOD, " ", BAD)]}))
    assert found["labels"]["data"] == ["positive", "", "negative"]
    assert found["errors"]["data"] == ["", "empty_text", ""]
    assert found["scores"]["data"][3:6] == [0, 0, 0]


@pytest.mark.parametrize(
    "request_body",
    [
        {"inputs": [texts(GOOD, " ")], "outputs": [{"name": "labels"}]},
        {"inputs": [texts(" ", "")], "outputs": [{"name": "labels"}, {"name": "errors"}]},
    ],
    ids=["nothing would tell of it", "not one has an answer"],
)
def test_a_request_is_refused_where(asked: TestClient, request_body: dict[str, Any]) -> None:
    answer = asked.post("/v2/models/tiny/infer", json=request_body)
    assert (answer.status_code, answer.json()["code"]) == (422, "empty_text")


def test_outputs_come_in_the_order_of_the_request(asked: TestClient) -> None:
    body = {"inputs": [texts(GOOD)], "outputs": [{"name": "scores"}, {"name": "labels"}]}
    assert list(outputs(asked.post("/v2/models/tiny/infer", json=body))) == ["scores", "labels"]


def test_one_text_a_row_may_stand_alone_in_it(asked: TestClient) -> None:
    nested = {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [[GOOD], [BAD]]}
    assert outputs(asked.post("/v2/models/tiny/infer", json={"inputs": [nested]}))["labels"]["shape"] == [2]


def test_token_ids_get_logits_whatever_pads_them(asked: TestClient) -> None:
    def logits(ids: list[list[int]], lens: list[int] | None) -> Any:
        shape = [len(ids), len(ids[0])]
        inputs: list[dict[str, Any]] = [{"name": "ids", "shape": shape, "datatype": "INT64", "data": ids}]
        if lens is not None:
            inputs.append({"name": "lens", "shape": [len(lens)], "datatype": "INT64", "data": lens})
        return outputs(asked.post("/v2/models/tiny/infer", json={"inputs": inputs}))["logits"]

    alone = logits([[5, 6]], None)
    together = logits([[5, 6, 0], [7, 8, 9]], [2, 3])
    assert together["shape"] == [2, 3]
    assert together["data"][:3] == pytest.approx(alone["data"], abs=1e-5)


@pytest.mark.parametrize(
    ("inputs", "status", "complaint"),
    [
        ([{"name": "ids", "shape": [1, 2], "datatype": "INT64", "data": [1, 99999]}], 400, "does not know"),
        ([{"name": "ids", "shape": [1, 2], "datatype": "INT64", "data": [1, -1]}], 400, "does not know"),
        ([{"name": "ids", "shape": [1, 65], "datatype": "INT64", "data": [1] * 65}], 400, "at most 64"),
        ([{"name": "ids", "shape": [5, 1], "datatype": "INT64", "data": [1] * 5}], 413, "at most 4"),
        ([{"name": "ids", "shape": [1, 0], "datatype": "INT64", "data": []}], 400, "at least one"),
        ([{"name": "ids", "shape": [2], "datatype": "INT64", "data": [1, 2]}], 400, r"expected \[-1, -1\]"),
        ([{"name": "ids", "shape": [1, 1], "datatype": "INT32", "data": [1]}], 400, "expected INT64"),
        ([texts(*[GOOD] * 5)], 413, "at most 4"),
        ([texts()], 400, "at least one text"),
        ([{"name": "txt", "shape": [1], "datatype": "BYTES", "data": ["a"]}], 400, r"expected \['text'\] or"),
        ([texts("a"), texts("b")], 400, "each name once"),
        ([texts("a"), {"name": "ids", "shape": [1, 1], "datatype": "INT64", "data": [1]}], 400, "expected"),
        ([{"name": "lens", "shape": [1], "datatype": "INT64", "data": [1]}], 400, "'ids' is missing"),
        ([{"name": "text", "shape": [1], "datatype": "BYTES"}], 400, "data or binary_data_size"),
        ([], 400, "inputs"),
    ],
)
def test_what_a_package_does_not_take_is_refused(
    asked: TestClient, inputs: list[dict[str, Any]], status: int, complaint: str
) -> None:
    answer = asked.post("/v2/models/tiny/infer", json={"inputs": inputs})
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)
    with pytest.raises(AssertionError, match=complaint):
        raise AssertionError(answer.json()["error"])


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"outputs": [{"name": "logits"}]}, "not given for these inputs"),
        ({"parameters": {"timeout": -1}}, "timeout"),
        ({"parameters": {"language": "English"}}, "language"),
        ({"parameters": {"sequence_id": 7}}, "sequences are not kept"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(asked: TestClient, more: dict[str, Any], complaint: str) -> None:
    answer = asked.post("/v2/models/tiny/infer", json={"inputs": [texts(GOOD)], **more})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_inference")
    assert complaint in answer.json()["error"]


def test_parameters_of_other_makers_are_left_aside(asked: TestClient) -> None:
    one = texts(GOOD) | {"parameters": {"content_type": "str"}}
    answer = asked.post(
        "/v2/models/tiny/infer", json={"inputs": [one], "parameters": {"headers": {}, "temperature": 1}}
    )
    assert answer.status_code == 200


def test_tensors_in_binary_go_both_ways(asked: TestClient) -> None:
    ids = np.array([[5, 6], [7, 8]], "<i8").tobytes()
    head = json.dumps(
        {
            "inputs": [
                {"name": "ids", "shape": [2, 2], "datatype": "INT64", "parameters": {"binary_data_size": len(ids)}}
            ],
            "outputs": [{"name": "logits", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    answer = asked.post("/v2/models/tiny/infer", content=head + ids, headers=headers)
    size = int(answer.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(answer.content[:size])["outputs"]
    assert "data" not in output
    assert output["parameters"] == {"binary_data_size": 24}
    plain = asked.post(
        "/v2/models/tiny/infer",
        json={"inputs": [{"name": "ids", "shape": [2, 2], "datatype": "INT64", "data": [5, 6, 7, 8]}]},
    )
    assert np.frombuffer(answer.content[size:], "<f4").tolist() == outputs(plain)["logits"]["data"]


@pytest.mark.parametrize("size", [7, 9], ids=["too short", "too long"])
def test_a_body_that_is_not_as_long_as_it_says_is_refused(asked: TestClient, size: int) -> None:
    one = {"name": "ids", "shape": [1, 1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [one]}).encode()
    answer = asked.post(
        "/v2/models/tiny/infer",
        content=head + b"\0" * size,
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_inference")


@pytest.mark.parametrize("given", ["-1", "x", "99999", "9" * 5000, ""])
def test_a_length_of_the_json_that_cannot_be_is_refused(asked: TestClient, given: str) -> None:
    answer = asked.post(
        "/v2/models/tiny/infer", content=b'{"inputs": []}', headers={"Inference-Header-Content-Length": given}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b""])
def test_a_body_that_is_no_json_object_is_400(asked: TestClient, body: bytes) -> None:
    assert asked.post("/v2/models/tiny/infer", content=body).status_code == 400


def test_an_unknown_package_is_404_and_a_refused_one_503(asked: TestClient) -> None:
    for path in ("/v2/models/nobody", "/v2/models/nobody/ready", "/v2/models/nobody/stats"):
        assert asked.get(path).status_code == 404
    assert asked.post("/v2/models/nobody/infer", json={"inputs": [texts(GOOD)]}).status_code == 404
    assert asked.post("/v2/models/tiny/versions/3/infer", json={"inputs": [texts(GOOD)]}).status_code == 503


def test_the_index_tells_of_every_version(asked: TestClient) -> None:
    listed = asked.post("/v2/repository/index").json()
    states = {(one["name"], one["version"]): one["state"] for one in listed}
    assert states[("tiny", "2")] == "READY"
    assert states[("tiny", "3")] == "UNAVAILABLE"
    ready = asked.post("/v2/repository/index", json={"ready": True}).json()
    assert {one["state"] for one in ready} == {"READY"}


def test_statistics_count_every_route(asked: TestClient) -> None:
    def count() -> int:
        (one,) = asked.get("/v2/models/tiny/versions/2/stats").json()["model_stats"]
        return int(one["inference_count"])

    before = count()
    asked.post("/v1/sentiment", json={"inputs": [GOOD, BAD], "model": "tiny"})
    asked.post("/v2/models/tiny/infer", json={"inputs": [texts(GOOD)]})
    assert count() == before + 3
    every = asked.get("/v2/models/stats").json()["model_stats"]
    assert {(one["name"], one["version"]) for one in every} == {("tiny", "1"), ("tiny", "2"), ("writer", "1")}


def test_requests_are_counted_by_the_routes_template(asked: TestClient) -> None:
    asked.post("/v2/models/tiny/infer", json={"inputs": [texts(GOOD)]})
    told = asked.get("/metrics").text
    assert 'sluice_requests_total{code="200",route="/v2/models/{name}/infer"}' in told
    assert "/v2/models/tiny" not in told


def test_a_summary_is_generated_as_v1_writes_it(asked: TestClient) -> None:
    own = asked.post("/v1/summarize", json={"inputs": NEWS, "model": "writer", "max_tokens": 5}).json()["results"][0]
    wish = {"text_input": NEWS, "id": "x", "parameters": {"max_tokens": 5}}
    answer = asked.post("/v2/models/writer/generate", json=wish).json()
    assert (answer["text_output"], answer["model_name"], answer["model_version"]) == (own["summary"], "writer", "1")
    assert (answer["id"], answer["details"]["summary_tokens"]) == ("x", own["summary_tokens"])
    body = {"inputs": [texts(NEWS, " ")], "parameters": {"max_tokens": 5}}
    found = outputs(asked.post("/v2/models/writer/infer", json=body))
    assert found["summaries"]["data"] == [own["summary"], ""]
    assert found["errors"]["data"] == ["", "empty_text"]


def test_a_stream_says_what_the_whole_answer_says(asked: TestClient) -> None:
    wish = {"text_input": NEWS, "parameters": {"beams": 1}}
    whole = asked.post("/v2/models/writer/generate", json=wish).json()
    answer = asked.post("/v2/models/writer/generate_stream", json=wish)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(event[6:]) for event in answer.text.split("\n\n") if event]
    assert "".join(event["text_output"] for event in events) == whole["text_output"]
    assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1]["details"] == whole["details"]


@pytest.mark.parametrize(
    ("model", "wish", "status"),
    [
        ("tiny", {"text_input": NEWS}, 400),
        ("writer", {}, 400),
        ("writer", {"text_input": " "}, 422),
        ("writer", {"text_input": NEWS, "parameters": {"max_tokens": 10_000}}, 422),
        ("writer", {"text_input": NEWS, "parameters": {"max_tokens": "many"}}, 400),
        ("nobody", {"text_input": NEWS}, 404),
    ],
)
@pytest.mark.parametrize("verb", ["generate", "generate_stream"])
def test_a_summary_that_cannot_be_is_refused(
    asked: TestClient, verb: str, model: str, wish: dict[str, Any], status: int
) -> None:
    answer = asked.post(f"/v2/models/{model}/{verb}", json=wish)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"


def test_token_ids_are_summed_up_as_their_text_is(asked: TestClient) -> None:
    ids = {"name": "ids", "shape": [2, 3], "datatype": "INT64", "data": [10, 20, 30, 10, 20, 0]}
    lens = {"name": "lens", "shape": [2], "datatype": "INT64", "data": [3, 2]}
    body = {"inputs": [ids, lens], "parameters": {"beams": 1, "max_tokens": 4}}
    found = outputs(asked.post("/v2/models/writer/infer", json=body))
    rows, width = found["summary_ids"]["shape"]
    assert rows == 2
    assert max(found["summary_lens"]["data"]) == width <= 4
    assert max(found["logprobs"]["data"]) <= 0


def test_a_service_that_drains_takes_no_work(make_client: MakeClient, tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    client = make_client(tmp_path)
    client.app.state.service.drain()  # type: ignore[attr-defined]
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/models/tiny/ready").status_code == 503
    answer = client.post("/v2/models/tiny/infer", json={"inputs": [texts(GOOD)]})
    assert (answer.status_code, answer.json()["code"]) == (503, "draining")


def test_the_server_tells_what_it_is(asked: TestClient) -> None:
    for path in ("/v2", "/v2/"):
        assert asked.get(path).json()["name"] == "sluice"
