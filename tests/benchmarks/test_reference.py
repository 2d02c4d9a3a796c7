"""The reference work becomes a package that the service opens, with its graph's own answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from app.modelpack import normalize
from app.modelpack.store import open_package
from app.runtime.classifier import Classifier
from app.runtime.providers import choose
from benchmarks.reference import NORMALIZATION, explained, register, target_of, write_package


def graph() -> bytes:
    """Return a graph that pools as the reference does: attention int8-weighed over states, of 3 labels."""
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "T"]),
        helper.make_tensor_value_info("lens", TensorProto.INT64, ["B"]),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 3]),
        helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["B", "T"]),
    ]
    constants: dict[str, np.ndarray[Any, Any]] = {
        "table": np.arange(8, dtype=np.float32).reshape(4, 2) / 8,
        "out.weight_quantized": np.array([[1, 2, 3], [4, 5, 6]], np.int8),
        "out.weight_scale": np.array(0.5, np.float32),
        "out.weight_zero_point": np.array(0, np.int8),
        "weight": np.array([[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]], np.float32),
        "last": np.array([2], np.int64),
        "one": np.array([1], np.int64),
        "mean": np.array([[0.5], [0.25]], np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["states"]),
        helper.make_node("MatMul", ["states", "mean"], ["scores"]),
        helper.make_node("Squeeze", ["scores", "last"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["attention"]),
        helper.make_node("Unsqueeze", ["attention", "last"], ["/Unsqueeze_2_output_0"]),
        helper.make_node("Mul", ["/Unsqueeze_2_output_0", "states"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "one"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "weight"], ["logits"]),
    ]
    kept = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    made = helper.make_graph(nodes, "reference", inputs, outputs, kept)
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(made, opset_imports=[opset], ir_version=8).SerializeToString())


@pytest.fixture
def art(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of reference work; the normalization that it enters goes with the test."""
    monkeypatch.setattr(normalize, "VERSIONS", dict(normalize.VERSIONS))
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path / "art"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "model.onnx").write_bytes(graph())
    config = {"labels": ["negative", "neutral", "positive"], "size": {"vocab": 4}, "max_len": 512}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def test_the_work_is_a_package_whose_attribution_adds_up_to_the_logits(art: Path, tmp_path: Path) -> None:
    register(art)
    model = Classifier.open(open_package(write_package(art, tmp_path / "models")), choose("cpu"))
    (tokens,) = model.tokenizer.encode(["Good bad good"])
    ((logits, attribution),) = model.explained.run([tokens.ids])
    assert model.precision == "int8"
    assert np.allclose(attribution.sum(0), logits, atol=1e-6)


def test_the_added_output_leaves_the_others_as_they_are() -> None:
    feeds = {"ids": np.array([[2, 3, 2], [3, 1, 0]], np.int64), "lens": np.array([3, 2], np.int64)}
    raw = graph()
    plain = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    more = onnxruntime.InferenceSession(explained(raw, 3), providers=["CPUExecutionProvider"])
    names = ["logits", "attention"]
    for one, other in zip(plain.run(names, feeds), more.run(names, feeds), strict=True):
        assert np.array_equal(one, other)


def test_without_being_entered_the_normalization_is_refused(art: Path, tmp_path: Path) -> None:
    assert NORMALIZATION not in normalize.versions()
    folder = write_package(art, tmp_path / "models")
    with pytest.raises(Exception, match=f"tokenizer.normalization is {NORMALIZATION}"):
        Classifier.open(open_package(folder), choose("cpu"))


def test_the_target_says_where_it_starts_and_on_which_port_it_listens() -> None:
    found = target_of("/venv/bin/python", Path("/checkout"))
    assert found["cwd"] == "/checkout"
    assert found["cmd"][0] == "/venv/bin/python"
    assert "{port}" in found["cmd"]
