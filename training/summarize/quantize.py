"""Both graphs with 8-bit weights, where what a row is answered does not move with its neighbours.

The encoder's LSTM has ONNX Runtime's 8-bit kernel; it runs a row at a time, so its dynamic scales are the row's own.
All other products are of 8-bit weights with a scale for each block of 32 (MatMulNBits), over numbers whose scales are a
row's and block's own too; but for the vocabulary's, whose numbers are bounded (bounded.py). Lookup tables have a scale
a row.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from training.quantization import quantize_lstms
from training.summarize.bounded import DOMAIN, MIDDLE, multiply_bytes
from training.tables import STEPS, shrink

BITS = 8
BLOCK = 32
BY_INTEGERS = 4
"""Accuracy level of the kernel that multiplies bytes: a step's numbers are rounded too, by row and block."""


def quantize_encoder(fp32: Path, int8: Path) -> None:
    """Write the encoder with 8-bit weights in the LSTM, in every other product, and in the lookup table."""
    quantize_lstms(fp32, int8)
    model = onnx.load(int8)
    narrow_products(model, BY_INTEGERS)
    onnx.save(model, int8)


def quantize_step(fp32: Path, int8: Path, level: int = BY_INTEGERS) -> None:
    """Write the step with 8-bit weights in every product with a constant, and in the lookup table.

    ``level``: the kernel's accuracy level of those with scales by block.
    """
    model = onnx.load(fp32)
    multiply_bytes(model)
    narrow_products(model, level)
    shrink(model)
    onnx.save(model, int8)


def narrow_products(model: ModelProto, level: int) -> None:
    """Rewrite, in place, every product with a constant matrix whose columns are whole blocks."""
    weights = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        matrix = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if matrix is None or matrix.ndim != 2 or len(matrix) % BLOCK:  # noqa: PLR2004
            nodes.append(node)
            continue
        steps, scales = blocks(matrix)
        name = node.input[1]
        model.graph.initializer.extend(
            [numpy_helper.from_array(steps, f"{name}_steps"), numpy_helper.from_array(scales, f"{name}_scales")]
        )
        rows, columns = matrix.shape
        nodes.append(
            helper.make_node(
                "MatMulNBits",
                [node.input[0], f"{name}_steps", f"{name}_scales"],
                list(node.output),
                node.name,
                domain=DOMAIN,
                K=rows,
                N=columns,
                bits=BITS,
                block_size=BLOCK,
                accuracy_level=level,
            )
        )
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in model.graph.node for name in node.input}
    kept = {one.name: one for one in model.graph.initializer if one.name in used}
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept.values())
    if DOMAIN not in {one.domain for one in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def blocks(matrix: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a matrix [K, N] as bytes uint8[N, K / 32, 32] and scales float32[N, K / 32] of (byte - 128)."""
    rows, columns = matrix.shape
    cut = matrix.T.reshape(columns, rows // BLOCK, BLOCK)  # [N, K / 32, 32]
    scales = np.abs(cut).max(axis=2) / STEPS  # [N, K / 32]
    scales = np.where(scales > 0, scales, 1.0).astype(np.float32)  # [N, K / 32]
    steps = np.rint(cut / scales[:, :, None]) + MIDDLE  # [N, K / 32, 32]
    return steps.astype(np.uint8), scales
