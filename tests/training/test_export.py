"""The ONNX graphs."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from app.runtime.providers import choose
from app.runtime.session import Session, padded
from tests.training.conftest import TinyRun
from training import parity
from training.config import RunConfig
from training.errors import ExportRefusedError
from training.export import export, export_fp32, graph_spec, quantize
from training.models.classifier import Classifier, build
from training.models.config import ModelConfig
from training.tracing import OPSET
from training.train import load_network


@pytest.fixture
def session(run: TinyRun) -> Session:
    return Session(graph_spec("model.onnx", "fp32", 3), run.paths.fp32.read_bytes(), choose("cpu"))


@pytest.mark.parametrize("lens", [[1], [2], [7], [64], [2, 1], [1, 9, 64, 3], [5] * 6], ids=str)
def test_the_graph_answers_as_the_network_does(run: TinyRun, session: Session, lens: list[int]) -> None:
    rng = np.random.default_rng(0)
    feeds = padded([rng.integers(1, 200, size) for size in lens], 0)
    logits, shares = session.run(["logits", "attribution"], feeds)
    network = load_network(run.config, run.paths)
    with torch.inference_mode():
        wanted, wanted_shares = network.explained(torch.from_numpy(feeds["ids"]), torch.from_numpy(feeds["lens"]))
    np.testing.assert_allclose(logits, wanted.numpy(), atol=1e-4)
    np.testing.assert_allclose(shares, wanted_shares.numpy(), atol=1e-4)
    np.testing.assert_allclose(shares.sum(axis=1) + network.bias.detach().numpy(), logits, atol=1e-4)


def nodes(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def test_there_is_one_lstm_and_no_sort(run: TinyRun) -> None:
    assert nodes(run.paths.fp32).count("LSTM") == 1
    assert not {"TopK", "If", "Loop", "Scan"} & set(nodes(run.paths.fp32))


def test_the_int8_graph_has_an_int8_lstm_and_int8_tables(run: TinyRun) -> None:
    found = nodes(run.paths.int8)
    assert found.count("DynamicQuantizeLSTM") == 1
    assert "LSTM" not in found
    weights = onnx.load(str(run.paths.int8)).graph.initializer
    tables = [one for one in weights if len(one.dims) == 2 and one.dims[0] > 200]
    assert tables
    small = {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16}
    assert {one.data_type for one in tables if one.dims[1] > 1} <= small  # one column is the rows' scales


def test_a_graph_states_its_opset_and_carries_its_own_data(run: TinyRun) -> None:
    model = onnx.load(str(run.paths.fp32), load_external_data=False)
    assert [one.version for one in model.opset_import if not one.domain] == [OPSET]
    assert all(not one.external_data for one in model.graph.initializer)


def test_the_logits_alone_need_no_attribution(run: TinyRun) -> None:
    extractor = onnx.utils.Extractor(onnx.load(str(run.paths.fp32)))
    logits = extractor.extract_model(["ids", "lens"], ["logits"])
    assert len(logits.graph.node) < len(onnx.load(str(run.paths.fp32)).graph.node) - 10


EVERY_POOL = {"pooling": ("last", "max", "mean", "attention", "multihead"), "heads": 2}
CELLS = [
    {"cell": cell, "bidirectional": both, "layers": layers, "ngrams": both, **EVERY_POOL}
    for cell, both, layers in itertools.product(("lstm", "gru", "rnn"), (True, False), (1, 2))
]
NORMS = [
    {"input_norm": first, "pooled_norm": second, "bigram_buckets": 256, "pooling": ("max", "attention")}
    for first, second in itertools.product(("none", "batch", "layer"), repeat=2)
]
ROWS = [np.array(row) for row in ([5], [7, 8, 9], [2, 3, 4, 5, 6, 7, 8, 9, 10], [9, 2])]


def named(settings: dict[str, Any]) -> str:
    return "-".join(str(value) for key, value in settings.items() if key not in ("pooling", "heads", "ngrams"))


def network(tiny: RunConfig, settings: dict[str, Any]) -> Classifier:
    """Return a network with every part away from its first values, and statistics of one batch."""
    torch.manual_seed(0)
    model = ModelConfig.model_validate(tiny.model.model_dump() | settings)
    made = build(tiny.model_copy(update={"model": model}), 200, 0)
    for name, weight in made.named_parameters():
        if "norm" in name or name.startswith("ngrams"):
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    feeds = padded(ROWS, 0)
    made(torch.from_numpy(feeds["ids"]), torch.from_numpy(feeds["lens"]))
    return made.eval()


@pytest.mark.parametrize("settings", [*CELLS, *NORMS], ids=named)
def test_every_network_that_can_be_exported_answers_alike_in_torch_and_in_both_graphs(
    tiny: RunConfig, tmp_path: Path, settings: dict[str, Any]
) -> None:
    made = network(tiny, settings)
    fp32, int8 = tmp_path / "model.onnx", tmp_path / "model.int8.onnx"
    export_fp32(made, fp32)
    quantize(fp32, int8, ROWS)
    exact = Session(graph_spec("model.onnx", "fp32", 3), fp32.read_bytes(), choose("cpu"))
    assert parity.torch_difference(made, exact, ROWS) <= 1e-5
    assert parity.padding_difference(exact, ROWS) <= 1e-5
    assert parity.attribution_difference(made, exact, ROWS) <= 1e-5
    rough = Session(graph_spec("model.int8.onnx", "int8", 3), int8.read_bytes(), choose("cpu"))
    # 8-bit weights of a network that was never trained, its logits up to a few units in size.
    assert 0 < parity.torch_difference(made, rough, ROWS) <= 0.2


@pytest.mark.parametrize(("cell", "node"), [("lstm", "LSTM"), ("gru", "GRU"), ("rnn", "RNN")])
def test_a_layer_is_one_node_and_only_an_lstm_becomes_int8(
    tiny: RunConfig, tmp_path: Path, cell: str, node: str
) -> None:
    fp32, int8 = tmp_path / "model.onnx", tmp_path / "model.int8.onnx"
    export_fp32(network(tiny, {"cell": cell, "layers": 2}), fp32)
    quantize(fp32, int8, ROWS)
    assert nodes(fp32).count(node) == 2
    assert nodes(int8).count("DynamicQuantizeLSTM" if cell == "lstm" else node) == 2
    tables = onnx.load(str(int8)).graph.initializer
    assert onnx.TensorProto.INT8 in {one.data_type for one in tables}


def test_a_gru_resets_after_the_product_as_torch_does(tiny: RunConfig, tmp_path: Path) -> None:
    export_fp32(network(tiny, {"cell": "gru"}), tmp_path / "model.onnx")
    (gru,) = (node for node in onnx.load(str(tmp_path / "model.onnx")).graph.node if node.op_type == "GRU")
    assert {one.name: one.i for one in gru.attribute}["linear_before_reset"] == 1


def test_recurrent_batch_normalization_is_refused_by_name_with_what_to_use(run: TinyRun) -> None:
    model = run.config.model.model_copy(update={"recurrent_norm": "batch"})
    with pytest.raises(ExportRefusedError, match=r'model\.recurrent_norm = "batch".*pooled_norm = "layer"'):
        export(run.config.model_copy(update={"model": model}), run.paths)
