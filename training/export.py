"""The trained network as ONNX: one recurrent node a layer, with sequence lengths, in fp32 and with 8-bit weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.modelpack.manifest import Graph, Precision
from app.modelpack.tensors import Tensor as TensorSpec
from app.runtime.session import padded
from training import steady
from training.config import RunConfig
from training.errors import ExportRefusedError
from training.models.classifier import Classifier
from training.paths import RunPaths
from training.prepare import dev as open_dev
from training.quantization import quantize_lstms
from training.tokenizer import PAD_ID, UNK_ID
from training.tracing import trace
from training.train import load_network

Ids = NDArray[np.int64]
SAMPLE_ROWS = 200
INPUTS = ("ids", "lens")
OUTPUTS = ("logits", "attribution")
AXES = {
    "ids": {0: "batch", 1: "tokens"},
    "lens": {0: "batch"},
    "logits": {0: "batch"},
    "attribution": {0: "batch", 1: "tokens"},
}


class _Graph(nn.Module):
    """Both outputs side by side; the runtime computes only the one that is asked for."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.explained(ids, lens)


def export(config: RunConfig, paths: RunPaths) -> tuple[Path, Path]:
    """Write both graphs of a trained run and return their paths; `ExportRefusedError` where no graph can compute it."""
    if config.model.recurrent_norm == "batch":
        raise ExportRefusedError(
            'model.recurrent_norm = "batch" is for study: the LSTM node of ONNX Runtime has no place for it; '
            'train with recurrent_norm = "none", and input_norm = "layer" or pooled_norm = "layer"'
        )
    export_fp32(load_network(config, paths), paths.fp32)
    quantize(paths.fp32, paths.int8, _sample(config, paths))
    return paths.fp32, paths.int8


def export_fp32(network: Classifier, path: Path) -> None:
    """Write the network as one self-contained ONNX file."""
    # Rows of unequal length, so that nothing of the example's shape is taken for a constant; longest first, as torch's
    # packing wants it without a sort. The LSTM node that this becomes takes any order.
    ids = torch.full((3, 5), UNK_ID)
    lens = torch.tensor([5, 2, 1])
    trace(_Graph(network.eval()), (ids, lens), path, inputs=INPUTS, outputs=OUTPUTS, axes=AXES)
    onnx.checker.check_model(str(path), full_check=True)


def quantize(fp32: Path, int8: Path, rows: Sequence[Ids]) -> None:
    """Write the graph with 8-bit weights in the LSTM and the lookup tables; pooling and head stay in fp32.

    The range of what the LSTM reads is taken from `rows`, token ids of texts such as it will meet.
    """
    model = onnx.load(fp32)
    steady.pin(model, steady.bounds(model, [padded([row], PAD_ID) for row in rows]))
    quantize_lstms(model, int8)


def _sample(config: RunConfig, paths: RunPaths) -> list[Ids]:
    """Return the first rows of every dev split."""
    corpora = open_dev(config, paths).values()
    return [corpus.row(at).astype(np.int64) for corpus in corpora for at in range(min(SAMPLE_ROWS, len(corpus)))]


def graph_spec(file: str, precision: Precision, classes: int) -> Graph:
    """Return what the manifest says of an exported graph."""
    return Graph(
        file=file,
        precision=precision,
        inputs=[
            TensorSpec(name="ids", dtype="int64", axes=["batch", "tokens"]),
            TensorSpec(name="lens", dtype="int64", axes=["batch"]),
        ],
        outputs=[
            TensorSpec(name="logits", dtype="float32", axes=["batch", classes]),
            TensorSpec(name="attribution", dtype="float32", axes=["batch", "tokens", classes]),
        ],
    )
