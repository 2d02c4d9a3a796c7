"""The ONNX graphs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from app.runtime.providers import choose
from app.runtime.session import Session, padded
from tests.training.conftest import TinyRun
from training.export import OPSET, graph_spec
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
    assert {one.data_type for one in tables} <= {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}


def test_a_graph_states_its_opset_and_carries_its_own_data(run: TinyRun) -> None:
    model = onnx.load(str(run.paths.fp32), load_external_data=False)
    assert [one.version for one in model.opset_import if not one.domain] == [OPSET]
    assert all(not one.external_data for one in model.graph.initializer)


def test_the_logits_alone_need_no_attribution(run: TinyRun) -> None:
    extractor = onnx.utils.Extractor(onnx.load(str(run.paths.fp32)))
    logits = extractor.extract_model(["ids", "lens"], ["logits"])
    assert len(logits.graph.node) < len(onnx.load(str(run.paths.fp32)).graph.node) - 10
