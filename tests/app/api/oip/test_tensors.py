"""/v2 over packages of numbers, without a socket: what goes in, what comes out, and each refusal by name."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from starlette.testclient import TestClient

from app.api.oip.wire import HEADER
from tests.app.api.conftest import clients
from tests.graphs import IN, LSTM, RUNNING_SUM, lstm, running_sum, same, tensor_package
from tests.packages import copy_tiny

INFER = "/v2/models/{}/infer"


def echo(dtype: str) -> dict[str, Any]:
    port = {"dtype": dtype, "axes": ["batch", 2]}
    inputs, outputs = [{"name": "x", **port}], [{"name": "y", **port}]
    return {"inputs": inputs, "outputs": outputs, "tensors": {"batched": True}}


@pytest.fixture(scope="module")
def raw() -> bytes:
    return lstm()


@pytest.fixture(scope="module")
def asked(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Yield a client of an LSTM, a running sum, graphs that give what they get, and one package that reads text."""
    root = tmp_path_factory.mktemp("models")
    tensor_package(root, raw, LSTM, "lstm")
    tensor_package(root, running_sum(), RUNNING_SUM, "sum")
    for name, kind, dtype in (
        ("halves", TensorProto.FLOAT16, "float16"),
        ("doubles", TensorProto.DOUBLE, "float64"),
        ("flags", TensorProto.BOOL, "bool"),
        ("counts", TensorProto.UINT64, "uint64"),
    ):
        tensor_package(root, same(kind), echo(dtype), name)
    port = {"dtype": "float32", "axes": ["batch", 1]}
    named = {"inputs": [{"name": "text", **port}], "outputs": [{"name": "y", **port}], "tensors": {"batched": True}}
    tensor_package(root, same(shape=("batch", 1), name="text"), named, "misnamed")
    copy_tiny(root)
    with clients() as make:
        yield make(root, max_items=4, max_tensor_numbers=500)


def tensor(name: str, datatype: str, array: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(np.shape(array)), "data": np.asarray(array).tolist()}


def drawn(rows: int, steps: int) -> dict[str, Any]:
    random = np.random.default_rng(rows * 100 + steps)
    x = random.normal(size=(rows, steps, IN)).astype(np.float32)
    return {"x": x, "shift": np.arange(rows, dtype=np.int64)}


def body(rows: int = 2, steps: int = 3, **changes: object) -> dict[str, Any]:
    feeds = drawn(rows, steps)
    inputs = [tensor("x", "FP32", feeds["x"]) | changes, tensor("shift", "INT64", feeds["shift"])]
    return {"inputs": inputs}


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["outputs"]}


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def test_the_answer_is_that_of_the_runtime(asked: TestClient, raw: bytes) -> None:
    found = outputs(asked.post(INFER.format("lstm"), json=body()))
    direct = onnxruntime.InferenceSession(raw).run(["states", "next"], drawn(2, 3))
    for name, own in zip(("states", "next"), direct, strict=True):
        assert found[name]["shape"] == list(own.shape)
        assert np.array_equal(np.array(found[name]["data"], own.dtype), own.ravel())
    assert (found["states"]["datatype"], found["next"]["datatype"]) == ("FP32", "INT64")


def test_one_output_may_be_asked_for(asked: TestClient) -> None:
    assert list(outputs(asked.post(INFER.format("lstm"), json=body() | {"outputs": [{"name": "next"}]}))) == ["next"]


def test_binary_goes_in_and_out_as_the_very_bytes(asked: TestClient, raw: bytes) -> None:
    feeds = drawn(3, 5)
    inputs = []
    for name, datatype in (("x", "FP32"), ("shift", "INT64")):
        behind = {"parameters": {"binary_data_size": feeds[name].nbytes}}
        inputs.append({"name": name, "datatype": datatype, "shape": list(feeds[name].shape), **behind})
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    sent = head + feeds["x"].tobytes() + feeds["shift"].tobytes()
    answer = asked.post(INFER.format("lstm"), content=sent, headers={HEADER: str(len(head))})
    states, following = onnxruntime.InferenceSession(raw).run(None, feeds)
    assert answer.content[int(answer.headers[HEADER]) :] == states.tobytes() + following.tobytes()


def test_metadata_tell_inputs_outputs_and_axes(asked: TestClient) -> None:
    told = asked.get("/v2/models/lstm").json()
    assert [(one["name"], one["datatype"], one["shape"]) for one in told["inputs"]] == [
        ("x", "FP32", [-1, -1, IN]),
        ("shift", "INT64", [-1]),
    ]
    assert [(one["name"], one["shape"]) for one in told["outputs"]] == [("states", [-1, -1, 5]), ("next", [-1])]
    assert told["parameters"]["task"] == "tensor"
    assert told["parameters"]["batched"] is True
    assert told["parameters"]["axes"]["x"] == ["batch", "steps", IN]


def test_the_listings_have_it(asked: TestClient) -> None:
    listed = asked.get("/v1/models/lstm").json()
    assert (listed["task"], listed["languages"], listed["labels"]) == ("tensor", [], [])
    assert listed["versions"][0]["max_tokens"] is None
    assert {"name": "lstm", "version": "1", "state": "READY", "reason": ""} in asked.post(
        "/v2/repository/index", json={}
    ).json()
    assert asked.get("/v2/models/lstm/ready").status_code == 200


def test_statistics_count_its_rows(asked: TestClient) -> None:
    before = asked.get("/v2/models/sum/stats").json()["model_stats"][0]
    x = tensor("x", "FP32", np.ones((3, IN)))
    assert asked.post(INFER.format("sum"), json={"inputs": [x]}).status_code == 200
    after = asked.get("/v2/models/sum/stats").json()["model_stats"][0]
    assert after["inference_count"] - before["inference_count"] == 1
    assert after["execution_count"] - before["execution_count"] == 1


@pytest.mark.parametrize(
    ("model", "datatype", "values"),
    [
        ("halves", "FP16", [[1.5, -2.25]]),
        ("doubles", "FP64", [[1e300, -0.1]]),
        ("flags", "BOOL", [[True, False]]),
        ("counts", "UINT64", [[2**64 - 1, 0]]),
    ],
)
def test_each_kind_of_number_comes_back_as_it_went(
    asked: TestClient, model: str, datatype: str, values: list[list[Any]]
) -> None:
    x = {"name": "x", "datatype": datatype, "shape": [1, 2], "data": values}
    assert outputs(asked.post(INFER.format(model), json={"inputs": [x]}))["y"]["data"] == values[0]


def test_numbers_that_are_called_text_are_numbers(asked: TestClient) -> None:
    found = outputs(asked.post(INFER.format("misnamed"), json={"inputs": [tensor("text", "FP32", [[0.5], [2.0]])]}))
    assert (found["y"]["shape"], found["y"]["data"]) == ([2, 1], [0.5, 2.0])


def binary(asked: TestClient, model: str, datatype: str, raw: bytes, shape: list[int], *, back: bool) -> Any:
    x = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [x], "parameters": {"binary_data_output": back}}).encode()
    return asked.post(INFER.format(model), content=head + raw, headers={HEADER: str(len(head))})


def test_numbers_that_are_none_come_back_in_binary_and_are_refused_in_json(asked: TestClient) -> None:
    raw = np.array([[np.nan, np.inf]]).tobytes()
    answer = binary(asked, "doubles", "FP64", raw, [1, 2], back=True)
    assert answer.content[int(answer.headers[HEADER]) :] == raw
    refused = binary(asked, "doubles", "FP64", raw, [1, 2], back=False)
    assert (refused.status_code, refused.json()["code"]) == (422, "not_finite")
    assert "output 'y' has numbers that JSON has no form for" in refused.json()["error"]


def test_a_byte_that_is_no_truth_value_is_refused(asked: TestClient) -> None:
    answer = binary(asked, "flags", "BOOL", b"\1\2", [1, 2], back=False)
    assert refusal(answer) == (400, "input 'x' has bytes beyond 1; expected 0 or 1 for each BOOL")


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (body(name="z"), 400, "inputs are ['z', 'shift']; expected ['x', 'shift'] for model 'lstm'"),
        (body(datatype="FP64"), 400, "input 'x' is FP64; expected FP32"),
        (body(shape=[2, 12], data=[0.0] * 24), 400, "input 'x' has shape [2, 12]; expected [-1, -1, 4]"),
        (body(shape=[2, 4, 3]), 400, "is not nested as its shape"),
        ({"inputs": body()["inputs"][:1]}, 400, "input 'shift' is missing; expected INT64[-1]"),
        (body(shape=[1, 3, 4], data=[0.0] * 12), 400, "input 'shift' has 2 rows; expected 1, as input 'x'"),
        (body(shape=[2, 0, 4], data=[]), 400, "input 'x' has no numbers; expected sizes from 1 on"),
        (body(5, 1), 413, "the inputs have 5 rows; expected at most 4"),
        (body(4, 32), 413, "the inputs have 516 numbers; expected at most 500"),
        (body() | {"outputs": [{"name": "z"}]}, 400, "output 'z' is not given for these inputs; expected some of"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(asked: TestClient, sent: Any, status: int, reason: str) -> None:
    found, text = refusal(asked.post(INFER.format("lstm"), json=sent))
    assert found == status
    assert reason in text


@pytest.mark.parametrize("route", ["sentiment", "topic", "classify", "summarize"])
def test_routes_of_text_refuse_it(asked: TestClient, route: str) -> None:
    status, text = refusal(asked.post(f"/v1/{route}", json={"inputs": "a", "model": "lstm"}))
    assert status == 404
    assert text == f"model 'lstm' is for tensor; expected a model for {route}"


def test_it_generates_nothing(asked: TestClient) -> None:
    answer = asked.post("/v2/models/lstm/generate", json={"text_input": "a"})
    assert refusal(answer) == (400, "model 'lstm' is for tensor; expected one that writes or quotes")


def test_it_is_nobodys_default(asked: TestClient) -> None:
    answer = asked.post("/v1/sentiment", json={"inputs": "a good film"})
    assert answer.json()["model"] == "tiny"
    assert asked.get("/v1/models/lstm").json()["default_for"] == []
