"""Small graphs of numbers to numbers, and packages of them, made where a test needs one."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_DRAWN = np.random.default_rng(11)
IN, HIDDEN = 4, 5


def _constant(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(_DRAWN.normal(size=shape).astype(np.float32), name)


def _value(name: str, kind: int, shape: Sequence[int | str | None] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[TensorProto] = (),
) -> bytes:
    """Return an ONNX file of one graph."""
    made = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=9).SerializeToString())


def mlp(batch: int | str | None = "batch") -> bytes:
    """Return x float32[batch, 4] to y float32[batch, 3], by two layers."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Gemm", ["t", "w2", "b2"], ["y"]),
    ]
    constants = [_constant("w1", IN, 8), _constant("b1", 8), _constant("w2", 8, 3), _constant("b2", 3)]
    x, y = _value("x", TensorProto.FLOAT, [batch, IN]), _value("y", TensorProto.FLOAT, [batch, 3])
    return graph(nodes, [x], [y], constants)


def lstm() -> bytes:
    """Return x float32[batch, steps, 4] and shift int64[batch] to an LSTM's states, and to ``shift`` and one.

    ``states`` is float32[batch, steps, 5] and ``next`` int64[batch].
    """
    nodes = [
        helper.make_node("Transpose", ["x"], ["by_step"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["by_step", "w", "r", "b"], ["all"], hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["all", "axis"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["states"], perm=[1, 0, 2]),
        helper.make_node("Add", ["shift", "one"], ["next"]),
    ]
    constants = [
        _constant("w", 1, 4 * HIDDEN, IN),
        _constant("r", 1, 4 * HIDDEN, HIDDEN),
        _constant("b", 1, 8 * HIDDEN),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    inputs = [_value("x", TensorProto.FLOAT, ["batch", "steps", IN]), _value("shift", TensorProto.INT64, ["batch"])]
    outputs = [
        _value("states", TensorProto.FLOAT, ["batch", "steps", HIDDEN]),
        _value("next", TensorProto.INT64, ["batch"]),
    ]
    return graph(nodes, inputs, outputs, constants)


def running_sum() -> bytes:
    """Return x float32[steps, 4] to y float32[steps, 4], each row the sum of those before it: no axis is a batch."""
    nodes = [helper.make_node("CumSum", ["x", "axis"], ["y"])]
    axis = numpy_helper.from_array(np.array(0, np.int64), "axis")
    x, y = (_value(name, TensorProto.FLOAT, ["steps", IN]) for name in "xy")
    return graph(nodes, [x], [y], [axis])


def same(
    kind: int = TensorProto.FLOAT, shape: Sequence[int | str | None] | None = ("batch", 2), name: str = "x"
) -> bytes:
    """Return x, or what it is called, to y, which is the same, of an ONNX type and shape."""
    x, y = _value(name, kind, shape), _value("y", kind, shape)
    return graph([helper.make_node("Identity", [name], ["y"])], [x], [y])


def custom() -> bytes:
    """Return a graph with an operator that no runtime has."""
    x, y = (_value(name, TensorProto.FLOAT, ["batch", 2]) for name in "xy")
    return graph([helper.make_node("Blur", ["x"], ["y"], domain="acme")], [x], [y])


MLP = {
    "inputs": [{"name": "x", "dtype": "float32", "axes": ["batch", IN]}],
    "outputs": [{"name": "y", "dtype": "float32", "axes": ["batch", 3]}],
    "tensors": {"batched": True},
}
LSTM = {
    "inputs": [
        {"name": "x", "dtype": "float32", "axes": ["batch", "steps", IN]},
        {"name": "shift", "dtype": "int64", "axes": ["batch"]},
    ],
    "outputs": [
        {"name": "states", "dtype": "float32", "axes": ["batch", "steps", HIDDEN]},
        {"name": "next", "dtype": "int64", "axes": ["batch"]},
    ],
    "tensors": {"batched": True, "sizes": {"steps": 6}},
}
RUNNING_SUM = {
    "inputs": [{"name": "x", "dtype": "float32", "axes": ["steps", IN]}],
    "outputs": [{"name": "y", "dtype": "float32", "axes": ["steps", IN]}],
    "tensors": {"batched": False, "sizes": {"steps": 6}},
}
"""What manifests say of these graphs."""


def manifest_of(raw: bytes, said: dict[str, Any], name: str = "numbers", version: int = 1) -> dict[str, Any]:
    """Return the manifest of a package of one graph."""
    return {
        "schema_version": 4,
        "name": name,
        "version": version,
        "task": "tensor",
        "description": "A graph of the tests.",
        "graphs": [
            {"file": "model.onnx", "precision": "fp32", "inputs": said["inputs"], "outputs": said["outputs"]},
        ],
        "tensors": said["tensors"],
        "files": {"model.onnx": {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}},
    }


def tensor_package(root: Path, raw: bytes, said: dict[str, Any], name: str = "numbers", version: int = 1) -> Path:
    """Write a package of one graph below ``root`` and return its folder."""
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(raw)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(raw, said, name, version)), "utf-8")
    return folder
