"""The trained extractor as one ONNX graph over the sentences of one document, in fp32 and with 8-bit weights."""

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from app.modelpack.manifest import Graph, Precision
from app.modelpack.tensors import Tensor as TensorSpec
from training.extractive.config import ExtractConfig
from training.extractive.train import load_network
from training.halves import halve
from training.models.extractor import Extractor
from training.paths import RunPaths
from training.quantization import quantize_lstms
from training.tokenizer import UNK_ID
from training.tracing import trace

INPUTS, OUTPUTS = ("ids", "lens"), ("scores", "vectors")
AXES = {
    "ids": {0: "sentences", 1: "tokens"},
    "lens": {0: "sentences"},
    "scores": {0: "sentences"},
    "vectors": {0: "sentences"},
}


class _Graph(nn.Module):
    """One document, as the service runs it."""

    def __init__(self, network: Extractor) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.one(ids, lens)


def export(config: ExtractConfig, paths: RunPaths) -> tuple[Path, Path]:
    """Write both graphs of a trained run and return their paths."""
    export_fp32(load_network(config, paths), paths.fp32)
    quantize(paths.fp32, paths.int8)
    halve(paths.fp32)
    return paths.fp32, paths.int8


def export_fp32(network: Extractor, path: Path) -> None:
    """Write the network as one self-contained ONNX file."""
    # Longest first, as torch's packing wants it without a sort; the LSTM node that this becomes takes any order.
    ids = torch.full((3, 5), UNK_ID)
    lens = torch.tensor([5, 2, 1])
    trace(_Graph(network.eval()), (ids, lens), path, inputs=INPUTS, outputs=OUTPUTS, axes=AXES)
    onnx.checker.check_model(str(path), full_check=True)


def quantize(fp32: Path, int8: Path) -> None:
    """Write the graph with 8-bit weights in the LSTMs and the lookup tables.

    An LSTM's scales are those of a whole run, which here is one document: it is quoted alike whoever asks beside it.
    """
    quantize_lstms(fp32, int8)


def graph_spec(file: str, precision: Precision, features: int) -> Graph:
    """Return what the manifest says of an exported graph whose vectors have so many features."""
    return Graph(
        file=file,
        precision=precision,
        inputs=[
            TensorSpec(name="ids", dtype="int64", axes=["sentences", "tokens"]),
            TensorSpec(name="lens", dtype="int64", axes=["sentences"]),
        ],
        outputs=[
            TensorSpec(name="scores", dtype="float32", axes=["sentences"]),
            TensorSpec(name="vectors", dtype="float32", axes=["sentences", features]),
        ],
    )
