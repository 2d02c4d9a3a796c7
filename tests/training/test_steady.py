"""Ranges that do not move with the batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from app.runtime.session import padded
from tests.training.test_export import network
from training import steady
from training.config import RunConfig
from training.export import export_fp32, quantize

RNG = np.random.default_rng(5)
ROWS = [RNG.integers(1, 200, size) for size in (1, 3, 17, 40, 2, 9, 40, 25)]
SHAPES: list[dict[str, Any]] = [
    {"cell": "lstm"},
    {"cell": "lstm", "bidirectional": False},
    {"cell": "lstm", "layers": 2},
    {"cell": "lstm", "input_norm": "layer"},
]


def answers(graph: Path | bytes, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        graph if isinstance(graph, bytes) else str(graph), providers=["CPUExecutionProvider"]
    )
    logits: NDArray[np.float32] = session.run(["logits"], padded(rows, 0))[0]
    return logits


@pytest.fixture(params=SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def fp32(request: pytest.FixtureRequest, tiny: RunConfig, tmp_path: Path) -> Path:
    made = network(tiny, request.param)
    with torch.no_grad():  # far apart, so that a batch's range is its own
        made.recurrent.embedding.weight.mul_(torch.linspace(0.05, 3, len(made.recurrent.embedding.weight)).unsqueeze(1))
    export_fp32(made, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_pins_change_nothing_in_fp32(fp32: Path) -> None:
    model = onnx.load(fp32)
    steady.pin(model, steady.bounds(model, [padded(ROWS, 0)]))
    np.testing.assert_allclose(answers(model.SerializeToString(), ROWS), answers(fp32, ROWS), atol=1e-6)


def test_an_int8_answer_is_the_same_alone_and_in_a_batch(fp32: Path, tmp_path: Path) -> None:
    int8 = tmp_path / "model.int8.onnx"
    quantize(fp32, int8, ROWS)
    together = answers(int8, ROWS)
    alone = np.concatenate([answers(int8, [row]) for row in ROWS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(together - answers(fp32, ROWS)).max() > 1e-4, "the LSTM is not in 8 bits"


def test_the_bound_is_the_largest_value_that_any_row_brings(fp32: Path) -> None:
    model = onnx.load(fp32)
    apart = [steady.bounds(model, [padded([row], 0)]) for row in ROWS]
    together = steady.bounds(model, [padded([row], 0) for row in ROWS])
    assert together
    assert together == {name: max(one[name] for one in apart) for name in together}


def test_beyond_its_bound_an_input_is_clipped(fp32: Path) -> None:
    model = onnx.load(fp32)
    bounds = steady.bounds(model, [padded(ROWS, 0)])
    steady.pin(model, {name: bound / 10 for name, bound in bounds.items()})
    assert np.abs(answers(model.SerializeToString(), ROWS) - answers(fp32, ROWS)).max() > 1e-3


def test_a_graph_without_an_lstm_is_left_alone(tiny: RunConfig, tmp_path: Path) -> None:
    export_fp32(network(tiny, {"cell": "gru"}), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    before = model.SerializeToString()
    assert steady.bounds(model, [padded(ROWS, 0)]) == {}
    steady.pin(model, {})
    assert model.SerializeToString() == before
