"""Packages of numbers: what they give is what ONNX Runtime gives, alone and joined with others."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from app.errors import InferenceFailed, InvalidInference, PackageError
from app.modelpack.store import open_package
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.tensors import Block, TensorModel
from tests.graphs import IN, LSTM, MLP, RUNNING_SUM, custom, lstm, mlp, running_sum, same, tensor_package

CPU = choose("cpu")


def opened(root: Path, raw: bytes, said: dict[str, Any]) -> TensorModel:
    model = open_model(open_package(tensor_package(root, raw, said)), CPU)
    assert isinstance(model, TensorModel)
    return model


@pytest.fixture(scope="module")
def raw() -> bytes:
    return lstm()


@pytest.fixture(scope="module")
def model(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> TensorModel:
    return opened(tmp_path_factory.mktemp("models"), raw, LSTM)


@pytest.fixture(scope="module")
def direct(raw: bytes) -> Any:
    return onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])


def drawn(rows: int, steps: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "x": random.normal(size=(rows, steps, IN)).astype(np.float32),
        "shift": random.integers(-(2**62), 2**62, rows),
    }


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(1, 7), min_size=1, max_size=9), steps=st.integers(1, 12), seed=st.integers(0, 9))
def test_joined_requests_get_their_own_rows_in_order(
    model: TensorModel, direct: Any, rows: list[int], steps: int, seed: int
) -> None:
    asked = [drawn(count, steps, seed + at) for at, count in enumerate(rows)]
    blocks = [model.block(given) for given in asked]
    assert len({model.lane(block) for block in blocks}) == 1
    answers = model.lane(blocks[0]).run(blocks)
    together = {name: np.concatenate([given[name] for given in asked]) for name in asked[0]}
    whole_states, whole_next = direct.run(["states", "next"], together)
    np.testing.assert_array_equal(np.concatenate([states for states, _ in answers]), whole_states)
    np.testing.assert_array_equal(np.concatenate([following for _, following in answers]), whole_next)
    for one, (states, following) in zip(asked, answers, strict=True):
        alone_states, alone_next = direct.run(["states", "next"], one)
        assert states.shape == alone_states.shape
        np.testing.assert_allclose(states, alone_states, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(following, alone_next)


def test_a_request_alone_gets_the_very_bits_of_the_runtime(model: TensorModel, direct: Any) -> None:
    given = drawn(5, 9)
    (states, following), (own_states, own_next) = (
        model.lane(model.block(given)).run([model.block(given)])[0],
        direct.run(None, given),
    )
    assert states.tobytes() == own_states.tobytes()
    assert following.tobytes() == own_next.tobytes()


def test_requests_of_other_inner_shapes_are_of_other_lanes(model: TensorModel) -> None:
    short, long = model.block(drawn(2, 3)), model.block(drawn(2, 4))
    assert model.lane(short) is not model.lane(long)
    assert model.lane(short) is model.lane(model.block(drawn(7, 3)))


def test_lanes_are_kept_for_the_shapes_that_came_last(model: TensorModel) -> None:
    first = model.lane(model.block(drawn(1, 1)))
    for steps in range(2, 300):
        model.lane(model.block(drawn(1, steps)))
    assert len(model.lanes) == 256
    assert model.lane(model.block(drawn(1, 1))) is not first


def test_a_block_counts_a_cell_a_row_at_least_and_one_for_128_numbers(model: TensorModel) -> None:
    assert len(model.block(drawn(7, 2))) == 7
    assert len(model.block(drawn(2, 100))) == -(-(2 * 100 * IN + 2) // 128)


def test_inputs_of_different_numbers_of_rows_are_refused(model: TensorModel) -> None:
    given = drawn(3, 2) | {"shift": np.zeros(2, np.int64)}
    with pytest.raises(InvalidInference, match="'shift' has 2 rows; expected 3, as input 'x'"):
        model.block(given)


def test_an_empty_axis_is_refused(model: TensorModel) -> None:
    with pytest.raises(InvalidInference, match="'x' has no numbers; expected sizes from 1 on"):
        model.block(drawn(3, 0))


def test_a_graph_without_a_batch_runs_each_request_alone(tmp_path: Path) -> None:
    model = opened(tmp_path, running_sum(), RUNNING_SUM)
    asked = [model.block({"x": np.full((steps, IN), 1.0, np.float32)}) for steps in (3, 3)]
    lane = model.lane(asked[0])
    assert lane.joining == "alone"
    for (found,) in lane.run(asked):
        np.testing.assert_array_equal(found[:, 0], [1.0, 2.0, 3.0])


def test_a_graph_that_mixes_its_rows_is_refused_as_a_batch(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="output 'y' of a row depends on the rows beside it; expected rows that do"):
        opened(tmp_path, running_sum(), RUNNING_SUM | {"tensors": {"batched": True}})


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.BOOL, "bool"),
        (TensorProto.INT8, "int8"),
        (TensorProto.INT16, "int16"),
        (TensorProto.INT32, "int32"),
        (TensorProto.INT64, "int64"),
        (TensorProto.UINT8, "uint8"),
        (TensorProto.UINT16, "uint16"),
        (TensorProto.UINT32, "uint32"),
        (TensorProto.UINT64, "uint64"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.FLOAT, "float32"),
        (TensorProto.DOUBLE, "float64"),
    ],
)
def test_every_type_of_number_goes_in_and_out(kind: int, dtype: str, tmp_path: Path) -> None:
    port = {"dtype": dtype, "axes": ["batch", 2]}
    said = {"inputs": [{"name": "x", **port}], "outputs": [{"name": "y", **port}], "tensors": {"batched": True}}
    model = opened(tmp_path, same(kind), said)
    blocks = [model.block({"x": np.array([[0, 1], [1, 1]], dtype)}), model.block({"x": np.array([[1, 0]], dtype)})]
    first, second = model.lane(blocks[0]).run(blocks)
    assert (str(first[0].dtype), first[0].tolist(), second[0].tolist()) == (dtype, [[0, 1], [1, 1]], [[1, 0]])


def test_numbers_that_are_none_go_in_and_out(tmp_path: Path) -> None:
    port = {"dtype": "float32", "axes": ["batch", 2]}
    said = {"inputs": [{"name": "x", **port}], "outputs": [{"name": "y", **port}], "tensors": {"batched": True}}
    model = opened(tmp_path, same(), said)
    block = model.block({"x": np.array([[np.nan, -np.inf]], np.float32)})
    np.testing.assert_array_equal(model.lane(block).run([block])[0][0], block.arrays[0])


def change(said: dict[str, Any], side: str, **changes: object) -> dict[str, Any]:
    return said | {side: [said[side][0] | changes]}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(change(MLP, "inputs", name="z"), "inputs .*x float32.*expected inputs .*z float32", id="name"),
        pytest.param(change(MLP, "outputs", dtype="int64"), "outputs .*expected outputs .*int64", id="type"),
        pytest.param(change(MLP, "inputs", axes=["batch", 5]), "inputs .*expected inputs .*5", id="size"),
        pytest.param(change(MLP, "inputs", axes=["batch", IN, 1]), "inputs .*expected inputs", id="axes"),
    ],
)
def test_a_graph_unlike_its_manifest_is_refused(said: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=rf"model\.onnx: {reason}"):
        opened(tmp_path, mlp(), said)


def test_an_axis_without_a_name_may_have_one_in_the_manifest(tmp_path: Path) -> None:
    assert opened(tmp_path, mlp(None), MLP).tensors.batched


def test_a_custom_operator_is_refused_by_name(tmp_path: Path) -> None:
    port = {"dtype": "float32", "axes": ["batch", 2]}
    said = {"inputs": [{"name": "x", **port}], "outputs": [{"name": "y", **port}], "tensors": {"batched": True}}
    with pytest.raises(PackageError, match=r"model\.onnx: operator 'Blur' of the domain 'acme'; expected operators of"):
        opened(tmp_path, custom(), said)


def test_a_batch_that_the_graph_fails_on_is_an_error_of_inference(model: TensorModel) -> None:
    wrong = Block((np.zeros((1, 2, IN + 1), np.float32), np.zeros(1, np.int64)), 1)
    with pytest.raises(InferenceFailed):
        model.lane(wrong).run([wrong])
