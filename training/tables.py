"""Lookup tables in fewer bytes: one scale a row, where ONNX Runtime's own dynamic quantization has one a table.

A vocabulary's rows differ in size a hundredfold, and a scale that fits the largest leaves rare words a few steps. A
narrow table, whose scales would weigh as much as they save, is kept in half precision instead.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

SMALLEST_ROWS = 128
# Up to here two bytes a number are no more than one byte and a row's scale of four.
NARROW = 4
STEPS = 127


def shrink(model: ModelProto) -> None:
    """Rewrite, in place, every lookup in a float32 table [rows, columns] that is worth it."""
    tables = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    wanted = {node.input[0] for node in model.graph.node if _is_lookup(node, tables)}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        looked_up = node.op_type == "Gather" and node.input[0] in wanted
        nodes += _replaced(node, tables[node.input[0]].shape[1]) if looked_up else [node]
    kept = [one for one in model.graph.initializer if one.name not in wanted]
    shrunk = [part for name in sorted(wanted) for part in _initializers(name, tables[name])]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([*kept, *shrunk])
    onnx.checker.check_model(model, full_check=True)


def by_row(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8[rows, columns] and scales float32[rows, 1], whose product is the table to half a step of each row."""
    scales = np.abs(table).max(axis=1, keepdims=True) / STEPS  # [rows, 1]
    scales = np.where(scales > 0, scales, 1.0).astype(np.float32)  # [rows, 1]
    return np.rint(table / scales).astype(np.int8), scales


def _is_lookup(node: NodeProto, tables: dict[str, NDArray[np.float32]]) -> bool:
    if node.op_type != "Gather" or node.input[0] not in tables:
        return False
    table = tables[node.input[0]]
    return table.dtype == np.float32 and table.ndim == 2 and len(table) >= SMALLEST_ROWS  # noqa: PLR2004


def _initializers(name: str, table: NDArray[np.float32]) -> list[onnx.TensorProto]:
    if table.shape[1] <= NARROW:
        return [numpy_helper.from_array(table.astype(np.float16), f"{name}_half")]
    steps, scales = by_row(table)
    return [numpy_helper.from_array(steps, f"{name}_steps"), numpy_helper.from_array(scales, f"{name}_scales")]


def _replaced(node: NodeProto, columns: int) -> list[NodeProto]:
    name, ids, out = node.input[0], node.input[1], node.output[0]
    if columns <= NARROW:
        return [
            helper.make_node("Gather", [f"{name}_half", ids], [f"{out}_half"], axis=0),
            helper.make_node("Cast", [f"{out}_half"], [out], to=onnx.TensorProto.FLOAT),
        ]
    return [
        helper.make_node("Gather", [f"{name}_steps", ids], [f"{out}_steps"], axis=0),
        helper.make_node("Gather", [f"{name}_scales", ids], [f"{out}_scales"], axis=0),
        helper.make_node("Cast", [f"{out}_steps"], [f"{out}_whole"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}_whole", f"{out}_scales"], [out]),
    ]
