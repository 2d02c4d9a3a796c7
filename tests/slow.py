"""A package that answers slowly, however fast the machine: the tiny one with a wide LSTM of constant weights."""

from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.packages import copy_tiny, write_file

_HIDDEN = 512
_LABELS = 3
_SHAPES = {"w": [1, 4 * _HIDDEN, 1], "r": [1, 4 * _HIDDEN, _HIDDEN], "p": [_HIDDEN, _LABELS]}


def copy_slow(root: Path) -> Path:
    """Write the package below ``root`` and return ``root``; a row of 128 tokens takes some ten milliseconds."""
    folder = copy_tiny(root, "slow")
    raw = _graph()
    for file in ("model.onnx", "model.int8.onnx"):
        write_file(folder, file, raw)
    return root


def _graph() -> bytes:
    nodes = [
        helper.make_node("Cast", ["ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "two"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["x"], perm=[1, 0, 2]),
        helper.make_node("Cast", ["lens"], ["lens32"], to=TensorProto.INT32),
        *(_constant(name) for name in _SHAPES),
        helper.make_node("LSTM", ["x", "w", "r", "", "lens32"], ["y", "last"], hidden_size=_HIDDEN),
        helper.make_node("Squeeze", ["last", "zero"], ["state"]),
        helper.make_node("MatMul", ["state", "p"], ["logits"]),
        helper.make_node("Squeeze", ["y", "one"], ["states"]),
        helper.make_node("Transpose", ["states"], ["by_row"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["by_row", "p"], ["attribution"]),
    ]
    graph = helper.make_graph(
        nodes,
        "slow",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "tokens"]),
            helper.make_tensor_value_info("lens", TensorProto.INT64, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", _LABELS]),
            helper.make_tensor_value_info("attribution", TensorProto.FLOAT, ["batch", "tokens", _LABELS]),
        ],
        [
            *(_number(name, [value]) for name, value in (("zero", 0), ("one", 1), ("two", 2))),
            *(_number(f"{name}_shape", shape) for name, shape in _SHAPES.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _constant(name: str) -> NodeProto:
    tensor = helper.make_tensor("value", TensorProto.FLOAT, [1], [1e-3])
    return helper.make_node("ConstantOfShape", [f"{name}_shape"], [name], value=tensor)


def _number(name: str, values: list[int]) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)
