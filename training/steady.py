"""Makes an 8-bit LSTM answer the same alone and in a batch, by pinning the ranges that its scales are taken from.

ONNX Runtime's DynamicQuantizeLSTM quantizes a step's input and state by the smallest and the largest number in the
whole batch, so that a row's answer moves with its neighbours. Here each input gets two more features that hold the
ends of a fixed range, into which the others are clipped, and each state two more units that stand at -1 and 1, the ends
of what a state can be. No weight reads them: they are there to be the smallest and the largest, in every batch.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

PINS = 2
GATES = 4
# Input, output, forget and cell gate, in ONNX's order: shut, open, open, nothing. The cell of a pin never changes.
PIN_BIAS = (-40.0, 40.0, 40.0, 0.0)
PIN_CELL = 40.0
"""Far enough out for the tanh to be 1."""
X, W, R, B, INITIAL_H, INITIAL_C = 0, 1, 2, 3, 5, 6


def bounds(model: ModelProto, feeds: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, float]:
    """Return the largest absolute value that each LSTM node read, over all `feeds`, by the name of its input."""
    probe = ModelProto()
    probe.CopyFrom(model)
    names = list(dict.fromkeys(node.input[X] for node in model.graph.node if node.op_type == "LSTM"))
    if not names:
        return {}
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    found = dict.fromkeys(names, 0.0)
    for one in feeds:
        for name, array in zip(names, session.run(names, dict(one)), strict=True):
            found[name] = max(found[name], float(np.abs(array).max()))
    return found


def pin(model: ModelProto, bounds: Mapping[str, float]) -> None:
    """Rewrite every LSTM node in place; `bounds` has the largest absolute value of what each reads.

    Beyond its bound an input is clipped; where nothing is, the graph computes what it did before.
    """
    weights = _weights(model)
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        nodes += _pinned(model, node, weights, bounds[node.input[X]]) if node.op_type == "LSTM" else [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in model.graph.node for name in node.input}
    kept = [one for one in model.graph.initializer if one.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.checker.check_model(model, full_check=True)


def _weights(model: ModelProto) -> dict[str, NDArray[np.float32]]:
    """Return every initializer by all its names: of two equal ones torch keeps one, and an Identity for the other."""
    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _pinned(
    model: ModelProto, node: NodeProto, weights: Mapping[str, NDArray[np.float32]], bound: float
) -> list[NodeProto]:
    name = f"{node.name or node.output[0]}/pinned"
    directions, _, hidden = weights[node.input[R]].shape
    constants: dict[str, NDArray[Any]] = {
        "w": _widened(weights[node.input[W]], hidden),
        "r": _widened(weights[node.input[R]], hidden),
        "b": _biases(weights[node.input[B]], hidden),
        "low": np.array(-bound, np.float32),
        "high": np.array(bound, np.float32),
        "ends": np.array([[[-bound, bound]]], np.float32),  # [1, 1, PINS]
        "h": _state(hidden, 1.0),
        "c": _state(hidden, PIN_CELL),
        "steps_and_rows": np.array([0, 1], np.int64),
        "rows": np.array([1], np.int64),
        "pins": np.array([PINS], np.int64),
        "directions": np.array([directions], np.int64),
        "width": np.array([hidden + PINS], np.int64),
        "first": np.array([0], np.int64),
        "hidden": np.array([hidden], np.int64),
        "features": np.array([-1], np.int64),
    }
    at = {key: f"{name}/{key}" for key in constants}
    model.graph.initializer.extend(numpy_helper.from_array(value, at[key]) for key, value in constants.items())

    def made(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(kind, inputs, [f"{name}/{output}"], **attributes)

    shape = f"{name}/shape"
    wide = NodeProto()
    wide.CopyFrom(node)
    wide.input[X] = f"{name}/x"
    wide.input[W], wide.input[R], wide.input[B] = at["w"], at["r"], at["b"]
    wide.input[INITIAL_H], wide.input[INITIAL_C] = f"{name}/all_h", f"{name}/all_c"
    next(one for one in wide.attribute if one.name == "hidden_size").i = hidden + PINS
    wide.output[:] = [output and f"{output}/wide" for output in node.output]
    return [
        made("Shape", [node.input[X]], "shape"),
        made("Clip", [node.input[X], at["low"], at["high"]], "clipped"),
        made("Gather", [shape, at["steps_and_rows"]], "sizes"),
        made("Concat", [f"{name}/sizes", at["pins"]], "ends_shape", axis=0),
        made("Expand", [at["ends"], f"{name}/ends_shape"], "all_ends"),
        made("Concat", [f"{name}/clipped", f"{name}/all_ends"], "x", axis=2),
        made("Gather", [shape, at["rows"]], "count"),
        made("Concat", [at["directions"], f"{name}/count", at["width"]], "state_shape", axis=0),
        made("Expand", [at["h"], f"{name}/state_shape"], "all_h"),
        made("Expand", [at["c"], f"{name}/state_shape"], "all_c"),
        wide,
        *(
            helper.make_node("Slice", [f"{output}/wide", at["first"], at["hidden"], at["features"]], [output])
            for output in node.output
            if output
        ),
    ]


def _widened(weight: NDArray[np.float32], hidden: int) -> NDArray[np.float32]:
    """Return float32[D, 4 (H + PINS), F + PINS] of [D, 4 H, F], zero where a pin would hear or be heard."""
    directions, _, features = weight.shape
    gates = weight.reshape(directions, GATES, hidden, features)
    wide = np.pad(gates, ((0, 0), (0, 0), (0, PINS), (0, PINS)))
    return wide.reshape(directions, GATES * (hidden + PINS), features + PINS)


def _biases(bias: NDArray[np.float32], hidden: int) -> NDArray[np.float32]:
    """Return float32[D, 8 (H + PINS)] of [D, 8 H]: the pins' gates stand in the input's half, as they never move."""
    gates = bias.reshape(len(bias), 2, GATES, hidden)
    wide = np.pad(gates, ((0, 0), (0, 0), (0, 0), (0, PINS)))
    wide[:, 0, :, hidden:] = np.array(PIN_BIAS, np.float32)[:, None]
    return wide.reshape(len(bias), -1)


def _state(hidden: int, size: float) -> NDArray[np.float32]:
    return np.array([[[0.0] * hidden + [-size, size]]], np.float32)  # [1, 1, H + PINS]
