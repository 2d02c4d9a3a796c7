"""Tensors that live outside their ONNX file are found wherever a tensor can stand."""

from contextlib import suppress

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from app.errors import PackageError
from app.modelpack.onnxfile import refuse_external_data
from tests.packages import TINY

RAW = (TINY / "model.onnx").read_bytes()


def outside(name: str = "w") -> TensorProto:
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 2.0])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def model(graph: onnx.GraphProto) -> bytes:
    return bytes(helper.make_model(graph).SerializeToString())


def graph_of(*nodes: onnx.NodeProto, tensors: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), "g", [], [y], list(tensors))


def inner_graph() -> onnx.NodeProto:
    constant = helper.make_node("Constant", [], ["y"], value=outside())
    return helper.make_node("If", ["c"], ["y"], then_branch=graph_of(constant), else_branch=graph_of())


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(graph_of(tensors=(outside(),)), id="initializer"),
        pytest.param(graph_of(helper.make_node("Constant", [], ["y"], value=outside())), id="attribute"),
        pytest.param(graph_of(inner_graph()), id="graph inside a node"),
    ],
)
def test_external_data_is_refused_by_name(graph: onnx.GraphProto) -> None:
    with pytest.raises(PackageError, match=r"m\.onnx: tensor 'w' keeps its data in another file"):
        refuse_external_data("m.onnx", model(graph))


def test_a_real_model_passes() -> None:
    refuse_external_data("model.onnx", RAW)


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, len(RAW)), at=st.integers(0, len(RAW) - 1), flip=st.integers(0, 255))
def test_damaged_bytes_pass_or_are_refused_and_never_crash(cut: int, at: int, flip: int) -> None:
    damaged = bytearray(RAW)
    damaged[at] ^= flip
    with suppress(PackageError):
        refuse_external_data("m.onnx", bytes(damaged[:cut]))


def test_deep_nesting_is_refused() -> None:
    raw = b""
    for _ in range(200):  # Graph.node -> Node.attribute -> Attribute.g
        for field in (6, 5, 1):
            raw = bytes([field << 3 | 2]) + _varint(len(raw)) + raw
    with pytest.raises(PackageError, match="not an ONNX model"):
        refuse_external_data("m.onnx", bytes([7 << 3 | 2]) + _varint(len(raw)) + raw)


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
