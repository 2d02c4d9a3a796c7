"""Half the bytes on disk, and the same numbers."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.halves import SMALLEST, halve, rounded


def test_rounded_weights_are_what_half_precision_can_say() -> None:
    network = rounded(nn.Linear(7, 3))

    assert all(torch.equal(one, one.half().float()) for one in network.parameters())


def test_a_halved_graph_is_smaller_and_answers_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(size=(40, 64)).astype(np.float16).astype(np.float32)
    bias = rng.normal(size=64).astype(np.float32)  # too small to be worth a cast, so as exact as it was
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "table"], ["y0"]), helper.make_node("Add", ["y0", "bias"], ["y"])],
        "plain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(bias, "bias")],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    x = rng.normal(size=(3, 40)).astype(np.float32)
    before, size = ort.InferenceSession(path).run(None, {"x": x})[0], path.stat().st_size

    halve(path)

    assert path.stat().st_size < 0.6 * size
    assert table.size >= SMALLEST > bias.size
    assert np.array_equal(ort.InferenceSession(path).run(None, {"x": x})[0], before)


def test_a_table_that_is_also_multiplied_with_is_kept_once(tmp_path: Path) -> None:
    table = np.random.default_rng(3).normal(size=(48, 32)).astype(np.float16).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["x"]), helper.make_node("MatMul", ["x", "back"], ["y"])],
        "tied",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 48])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(table.T.copy(), "back")],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    ids = np.array([5, 0, 47])
    before, size = ort.InferenceSession(path).run(None, {"ids": ids})[0], path.stat().st_size

    halve(path)

    assert path.stat().st_size < 0.4 * size
    assert np.array_equal(ort.InferenceSession(path).run(None, {"ids": ids})[0], before)
