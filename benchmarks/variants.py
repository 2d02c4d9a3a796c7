"""Other forms of a packed graph, made in memory: tables in fp32 or fp16, and as ONNX Runtime optimizes it."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from app.modelpack.manifest import Precision, Role
from app.modelpack.store import Package
from app.runtime.session import Array

PACKED, FP32 = "as packed", "fp32 graph"
_STEPS, _SCALES, _HALF = "_steps", "_scales", "_half"


@dataclass(frozen=True, slots=True)
class Variant:
    """One graph, and whether ONNX Runtime is still to optimize it."""

    name: str
    raw: bytes
    as_it_is: bool = False

    def session(self) -> Any:
        """Open the graph on one thread."""
        options = _options()
        if self.as_it_is:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(self.raw, options, providers=["CPUExecutionProvider"])


def variants(package: Package, role: Role = "model") -> Iterator[Variant]:
    """Yield the forms of a package's graph, the packed int8 one first; those of tables where it has shrunk ones."""
    packed = _raw(package, "int8", role)
    yield Variant(PACKED, packed)
    if _shrunk(onnx.load_from_string(packed).graph):
        yield Variant("int8 LSTM, fp32 tables", with_tables(packed, np.float32))
        yield Variant("int8 LSTM, fp16 tables", with_tables(packed, np.float16))
    yield Variant("as packed, optimized beforehand", optimized(packed), as_it_is=True)
    yield Variant("as packed, nothing fused", packed, as_it_is=True)
    yield Variant(FP32, _raw(package, "fp32", role))


def with_tables(raw: bytes, dtype: type[np.float32 | np.float16]) -> bytes:
    """Return a packed graph whose shrunk lookup tables are ``dtype`` again; its answers stay as they are, nearly."""
    model = onnx.load_from_string(raw)
    graph = model.graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    shrunk = _shrunk(graph)
    gone = {_stem(node.output[0]) for node in shrunk}
    kept = [node for node in graph.node if not {_stem(name) for name in node.output} & gone]
    first = [made for node in shrunk for made in _lookup(node, dtype)]
    tables = {_stem(node.input[0]): _table(_stem(node.input[0]), arrays).astype(dtype) for node in shrunk}
    old = {name + suffix for name in tables for suffix in (_STEPS, _SCALES, _HALF)}
    rest = [one for one in graph.initializer if one.name not in old]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(_sorted([*first, *kept], [*graph.input], [*rest], tables))
    graph.initializer.extend([*rest, *(numpy_helper.from_array(table, name) for name, table in tables.items())])
    return bytes(model.SerializeToString())


def optimized(raw: bytes) -> bytes:
    """Return a graph as ONNX Runtime would make it at each start."""
    with tempfile.TemporaryDirectory(prefix="sluice-graphs-") as folder:
        options = _options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(folder) / "graph.onnx")
        onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        return (Path(folder) / "graph.onnx").read_bytes()


def _raw(package: Package, precision: Precision, role: Role) -> bytes:
    graph = package.manifest.graph(precision, role)
    if graph is None:
        raise TypeError(f"This is a bug: {package.name} has no {precision} graph of role {role}")
    return package.graph_bytes(graph)


def _shrunk(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the look-ups whose table is of bytes, or of half precision."""
    return [node for node in graph.node if node.op_type == "Gather" and node.input[0].endswith((_STEPS, _HALF))]


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _stem(name: str) -> str:
    for suffix in (_STEPS, _SCALES, _HALF, "_whole"):
        name = name.removesuffix(suffix)
    return name


def _table(name: str, arrays: dict[str, Array]) -> Array:
    if name + _HALF in arrays:
        return arrays[name + _HALF].astype(np.float32)
    return arrays[name + _STEPS].astype(np.float32) * arrays[name + _SCALES]


def _lookup(node: onnx.NodeProto, dtype: type[np.float32 | np.float16]) -> list[onnx.NodeProto]:
    name, ids, out = _stem(node.input[0]), node.input[1], _stem(node.output[0])
    if dtype is np.float32:
        return [helper.make_node("Gather", [name, ids], [out], axis=0)]
    return [
        helper.make_node("Gather", [name, ids], [f"{out}_half"], axis=0),
        helper.make_node("Cast", [f"{out}_half"], [out], to=TensorProto.FLOAT),
    ]


def _sorted(nodes: list[onnx.NodeProto], inputs: list[Any], constants: list[Any], tables: Any) -> list[onnx.NodeProto]:
    """Return nodes so that each comes after those whose outputs it reads, its branches' included."""
    known = {"", *(one.name for one in (*inputs, *constants)), *tables}
    made = {name for node in nodes for name in node.output}
    done: list[onnx.NodeProto] = []
    left = nodes
    while left:
        ready = [node for node in left if _reads(node) & made <= known]
        if not ready:
            raise ValueError("This is a bug: the graph has a circle")
        done += ready
        known |= {name for node in ready for name in node.output}
        left = [node for node in left if not any(node is other for other in ready)]
    return done


def _reads(node: onnx.NodeProto) -> set[str]:
    inner = {
        name
        for attribute in node.attribute
        if attribute.HasField("g")
        for part in attribute.g.node
        for name in _reads(part)
    }
    return {*node.input, *inner}
