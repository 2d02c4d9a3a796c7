"""Lookup tables in fewer bytes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.tables import NARROW, SMALLEST_ROWS, by_row, shrink


def graph(table: np.ndarray) -> onnx.ModelProto:
    """Return a graph that looks the same table up twice and adds what it finds."""
    ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n"]) for name in ("a", "b")]
    out = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", table.shape[1]])
    nodes = [
        helper.make_node("Gather", ["table", "a"], ["x"]),
        helper.make_node("Gather", ["table", "b"], ["y"]),
        helper.make_node("Add", ["x", "y"], ["sum"]),
    ]
    made = helper.make_graph(nodes, "lookup", ids, [out], [numpy_helper.from_array(table, "table")])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto, a: list[int], b: list[int]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"a": np.array(a, dtype=np.int64), "b": np.array(b, dtype=np.int64)}
    found: np.ndarray = session.run(None, feeds)[0]
    return found


def table(rows: int, columns: int) -> np.ndarray:
    """Return rows whose sizes differ a thousandfold."""
    rng = np.random.default_rng(3)
    sizes = 10.0 ** rng.uniform(-3, 0, (rows, 1))
    return (sizes * rng.normal(size=(rows, columns))).astype(np.float32)


def test_a_rows_steps_times_its_scale_are_the_row_to_half_a_step() -> None:
    full = table(50, 7)
    steps, scales = by_row(full)
    assert steps.dtype == np.int8
    assert (np.abs(steps * scales - full) <= scales / 2 + 1e-9).all()


def test_a_row_of_zeros_stays_zero() -> None:
    steps, scales = by_row(np.zeros((2, 3), np.float32))
    assert not (steps * scales).any()


@pytest.mark.parametrize("columns", [NARROW, NARROW + 1, 40])
def test_a_shrunken_graph_finds_what_the_full_one_finds(columns: int) -> None:
    full = table(SMALLEST_ROWS, columns)
    model, shrunk = graph(full), graph(full)
    shrink(shrunk)
    a, b = [0, 5, 127], [7, 5, 2]
    sizes = np.abs(full[a]).max(axis=1) + np.abs(full[b]).max(axis=1)
    assert (np.abs(run(shrunk, a, b) - run(model, a, b)).max(axis=1) <= sizes / 250).all()
    assert shrunk.ByteSize() < model.ByteSize()


def test_a_table_looked_up_twice_is_kept_once() -> None:
    model = graph(table(SMALLEST_ROWS, 16))
    shrink(model)
    assert sorted(one.name for one in model.graph.initializer) == ["table_scales", "table_steps"]


def test_a_small_table_is_left_alone() -> None:
    model = graph(table(SMALLEST_ROWS - 1, 16))
    before = model.SerializeToString()
    shrink(model)
    assert model.SerializeToString() == before
