"""A bare ONNX file becomes a package that opens, or is refused by name."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from app.errors import PackageError
from app.modelpack.store import open_package
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.tensors import TensorModel
from app.runtime.wrapping import Wish, wrap
from tests.graphs import IN, custom, graph, lstm, mlp, running_sum, same


def wrapped(tmp_path: Path, raw: bytes, **more: object) -> TensorModel:
    source, root = tmp_path / "graph.onnx", tmp_path / "models"
    source.write_bytes(raw)
    root.mkdir(exist_ok=True)
    manifest = wrap(source, root, Wish("mine", **more))  # type: ignore[arg-type]
    model = open_model(open_package(root / "mine" / str(manifest.version)), choose("cpu"))
    assert isinstance(model, TensorModel)
    return model


def test_a_graph_whose_rows_are_its_own_is_batched(tmp_path: Path) -> None:
    model = wrapped(tmp_path, lstm(), version=3, description="States.")
    assert (model.version, model.manifest.description) == ("3", "States.")
    assert (model.tensors.batched, model.tensors.sizes) == (True, {"steps": 8})
    assert list(map(str, model.inputs)) == ["x float32['batch', 'steps', 4]", "shift int64['batch']"]


def test_a_graph_that_mixes_its_rows_is_not(tmp_path: Path) -> None:
    model = wrapped(tmp_path, running_sum())
    assert (model.tensors.batched, model.tensors.sizes) == (False, {"steps": 8})


@pytest.mark.parametrize("batch", [None, "n"])
def test_a_batch_axis_may_have_any_name_or_none(batch: str | None, tmp_path: Path) -> None:
    assert wrapped(tmp_path, mlp(batch)).tensors.batched


def test_a_fixed_axis_is_no_batch(tmp_path: Path) -> None:
    assert not wrapped(tmp_path, mlp(2)).tensors.batched


def test_a_size_that_the_graph_needs_is_found(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, "length"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1, "left"])
    kernel = onnx.numpy_helper.from_array(np.ones((1, 1, 20), np.float32), "w")
    model = wrapped(tmp_path, graph([helper.make_node("Conv", ["x", "w"], ["y"])], [x], [y], [kernel]))
    assert (model.tensors.batched, model.tensors.sizes) == (True, {"length": 32})


def test_a_size_may_be_told(tmp_path: Path) -> None:
    assert wrapped(tmp_path, lstm(), sizes={"steps": 3}).tensors.sizes == {"steps": 3}
    with pytest.raises(PackageError, match=r"no input has an axis 'stepz'.*expected a size for one of \['batch', 's"):
        wrapped(tmp_path, lstm(), version=2, sizes={"stepz": 3})


def outside() -> bytes:
    model = onnx.load_from_string(mlp())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return bytes(model.SerializeToString())


def sequence() -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", IN])
    y = helper.make_value_info("y", helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, None)))
    return graph([helper.make_node("SequenceConstruct", ["x"], ["y"])], [x], [y])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"nothing", "not an ONNX model; expected a protobuf", id="no protobuf"),
        pytest.param(b"", "not a graph that ONNX Runtime opens; expected a valid", id="no model"),
        pytest.param(outside(), "tensor 'w1' keeps its data in another file; expected all data", id="external data"),
        pytest.param(custom(), "operator 'Blur' of the domain 'acme'; expected operators of", id="custom operator"),
        pytest.param(same(TensorProto.STRING), r"input 'x' is tensor\(string\); expected numbers", id="strings"),
        pytest.param(same(TensorProto.BFLOAT16), r"input 'x' is tensor\(bfloat16\); expected numbers", id="bfloat16"),
        pytest.param(sequence(), r"output 'y' is seq\(tensor\(float\)\); expected numbers", id="sequence"),
        pytest.param(same(shape=["n"] * 9), "'x' has 9 axes; expected at most 8", id="nine axes"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(raw: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=reason):
        wrapped(tmp_path, raw)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_name_that_is_none_and_a_version_that_is_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_bytes(mlp())
    with pytest.raises(PackageError, match="name is 'My Model'"):
        wrap(tmp_path / "g.onnx", tmp_path, Wish("My Model"))
    wrap(tmp_path / "g.onnx", tmp_path, Wish("mine"))
    with pytest.raises(PackageError, match="version 1 of mine is there; expected a new version"):
        wrap(tmp_path / "g.onnx", tmp_path, Wish("mine"))


def test_a_second_graph_in_int8_is_the_one_that_the_cpu_runs(tmp_path: Path) -> None:
    for name in ("g.onnx", "g8.onnx"):
        (tmp_path / name).write_bytes(mlp())
    wrap(tmp_path / "g.onnx", tmp_path, Wish("mine"), tmp_path / "g8.onnx")
    package = open_package(tmp_path / "mine" / "1")
    assert open_model(package, choose("cpu")).precision == "int8"
    assert open_model(package, choose("cpu"), "fp32").precision == "fp32"
