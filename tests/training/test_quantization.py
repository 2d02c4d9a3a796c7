"""8-bit LSTMs that any processor can add up."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from training.quantization import MOST_WEIGHT, quantize_lstms

ROWS, TOKENS, FEATURES = 3, 6, 20


class _Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.cells = nn.LSTM(FEATURES, 12, batch_first=True, bidirectional=True)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.cells(values)[0]
        return found


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("lstm")
    fp32, int8 = folder / "model.onnx", folder / "model.int8.onnx"
    example = (torch.zeros(ROWS, TOKENS, FEATURES),)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore")  # as in training.export
        torch.onnx.export(_Cells().eval(), example, str(fp32), input_names=["x"], opset_version=17, dynamo=False)
    quantize_lstms(fp32, int8)
    return fp32, int8


def test_two_products_of_bytes_fit_16_bits(graphs: tuple[Path, Path]) -> None:
    whole = [numpy_helper.to_array(one) for one in onnx.load(graphs[1]).graph.initializer]
    weights = [one for one in whole if one.dtype == np.int8 and one.ndim == 3]
    assert len(weights) == 2
    most = max(int(np.abs(one.astype(int)).max()) for one in weights)
    assert most <= MOST_WEIGHT
    assert 2 * 255 * most < 2**15


def test_the_answers_are_close_to_those_of_32_bits(graphs: tuple[Path, Path]) -> None:
    values = np.random.default_rng(0).normal(size=(ROWS, TOKENS, FEATURES)).astype(np.float32)
    fp32, int8 = (
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": values})[0]
        for path in graphs
    )
    np.testing.assert_allclose(int8, fp32, atol=0.02)
    assert not np.array_equal(int8, fp32)
