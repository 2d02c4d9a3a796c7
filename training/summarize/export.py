"""The trained network as two ONNX graphs, the encoder and one step of the decoder, in fp32 and with 8-bit weights."""

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from app.modelpack.manifest import Graph, Precision, Role
from app.modelpack.tensors import Tensor as TensorSpec
from training.halves import halve
from training.models.pointer import PARTS, PointerGenerator
from training.models.pointer_step import PointerStep, Stepped
from training.paths import RunPaths
from training.summarize import vocabulary
from training.summarize.config import PointerConfig, SummarizeConfig
from training.summarize.greedy import step_of
from training.summarize.quantize import quantize_encoder, quantize_step
from training.summarize.stages import load_network
from training.tracing import trace

FILES: dict[tuple[Role, Precision], str] = {
    ("encoder", "fp32"): "encoder.onnx",
    ("step", "fp32"): "step.onnx",
    ("encoder", "int8"): "encoder.int8.onnx",
    ("step", "int8"): "step.int8.onnx",
}
INPUTS: dict[Role, dict[str, tuple[str, ...]]] = {
    "encoder": {"ids": ("batch", "tokens"), "lens": ("batch",), "kinds": ("batch",)},
    "step": {
        "tokens": ("rows", "beams"),
        "state": ("rows", "beams", "S"),
        "coverage": ("rows", "beams", "tokens"),
        "memory": ("rows", "tokens", "M"),
        "keys": ("rows", "tokens", "A"),
        "ids": ("rows", "tokens"),
        "lens": ("rows",),
        "banned": ("rows", "beams", "bans"),
        "free": ("rows",),
        "k": ("1",),
    },
}
OUTPUTS: dict[Role, dict[str, tuple[str, ...]]] = {
    "encoder": {"memory": ("batch", "tokens", "M"), "keys": ("batch", "tokens", "A"), "state": ("batch", "S")},
    "step": {
        "top_ids": ("rows", "beams", "k"),
        "top_logps": ("rows", "beams", "k"),
        "top_copied": ("rows", "beams", "k"),
        "next_state": ("rows", "beams", "S"),
        "next_coverage": ("rows", "beams", "tokens"),
    },
}
WHOLE = frozenset({"ids", "lens", "kinds", "tokens", "banned", "k", "top_ids"})
"""Tensors of int64; the others are of float32."""


class _Encoder(nn.Module):
    def __init__(self, network: PointerGenerator) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, lens: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        source = self.network.read(ids, lens, kinds)
        return source.memory, source.keys, source.state


def export(config: SummarizeConfig, paths: RunPaths) -> list[Path]:
    """Write the four graphs of a trained run and return their paths."""
    step = step_of(load_network(config, paths), vocabulary.load(paths.need(paths.tokenizer, "prepare")))
    files = {role_precision: paths.root / name for role_precision, name in FILES.items()}
    export_encoder(step.network, files["encoder", "fp32"])
    export_step(step, files["step", "fp32"])
    quantize_encoder(files["encoder", "fp32"], files["encoder", "int8"])
    quantize_step(files["step", "fp32"], files["step", "int8"])
    for role in INPUTS:
        halve(files[role, "fp32"])
    return list(files.values())


def export_encoder(network: PointerGenerator, path: Path) -> None:
    """Write the encoder: sources in, memory, keys and first state out."""
    # Rows of unequal length, so that nothing of the example's shape is taken for a constant; longest first, as torch's
    # packing wants it without a sort. The LSTM node that this becomes takes any order.
    ids = torch.full((3, 5), vocabulary.UNK_ID)
    lens = torch.tensor([5, 2, 1])
    kinds = torch.full((3,), vocabulary.KIND_IDS["headline"])
    _write(_Encoder(network.eval()), (ids, lens, kinds), "encoder", path, network.config)


def export_step(step: PointerStep, path: Path) -> None:
    """Write one step of the decoder."""
    config = step.network.config
    rows, beams, tokens, bans, best = 2, 3, 5, 4, 7
    _write(
        _Step(step.eval()),
        (
            torch.full((rows, beams), vocabulary.BOS_ID),
            torch.zeros(rows, beams, PARTS * config.decoder),
            torch.zeros(rows, beams, tokens),
            torch.zeros(rows, tokens, config.decoder),
            torch.zeros(rows, tokens, config.attention),
            torch.full((rows, tokens), vocabulary.UNK_ID),
            torch.tensor([tokens, tokens - 1]),
            torch.full((rows, beams, bans), -1),
            torch.ones(rows),
            torch.tensor([best]),
        ),
        "step",
        path,
        config,
    )


class _Step(nn.Module):
    """A step whose `k` is a tensor all the way, so that the graph keeps it as an input."""

    def __init__(self, step: PointerStep) -> None:
        super().__init__()
        self.step = step

    def forward(self, *inputs: Tensor) -> Stepped:
        found: Stepped = self.step(*inputs)
        return found


def graph_specs(files: list[tuple[Role, Precision]], config: PointerConfig) -> list[Graph]:
    """Return what the manifest says of exported graphs."""
    return [
        Graph(
            file=FILES[role, precision],
            precision=precision,
            role=role,
            inputs=_specs(INPUTS[role], config),
            outputs=_specs(OUTPUTS[role], config),
        )
        for role, precision in files
    ]


def _specs(tensors: dict[str, tuple[str, ...]], config: PointerConfig) -> list[TensorSpec]:
    sizes = _sizes(config)
    return [
        TensorSpec(
            name=name, dtype="int64" if name in WHOLE else "float32", axes=[sizes.get(axis, axis) for axis in axes]
        )
        for name, axes in tensors.items()
    ]


def _write(module: nn.Module, example: tuple[Any, ...], role: Role, path: Path, config: PointerConfig) -> None:
    inputs, outputs = INPUTS[role], OUTPUTS[role]
    axes = {
        name: {at: axis for at, axis in enumerate(shape) if axis.islower()}
        for name, shape in (inputs | outputs).items()
    }
    trace(module, example, path, inputs=inputs, outputs=outputs, axes=axes)
    _name_axes(path, outputs, config)
    onnx.checker.check_model(str(path), full_check=True)


def _name_axes(path: Path, outputs: dict[str, tuple[str, ...]], config: PointerConfig) -> None:
    """Put the sizes that are fixed into the graph's outputs; the exporter leaves some of them without."""
    model, sizes = onnx.load(path), _sizes(config)
    for one in model.graph.output:
        for axis, dimension in zip(outputs[one.name], one.type.tensor_type.shape.dim, strict=True):
            if axis in sizes:
                dimension.dim_value = sizes[axis]
    onnx.save(model, path)


def _sizes(config: PointerConfig) -> dict[str, int]:
    return {"M": config.decoder, "A": config.attention, "S": PARTS * config.decoder, "1": 1}
