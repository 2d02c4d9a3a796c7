"""A module of torch as one self-contained ONNX file."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

OPSET = 17


def trace(
    module: nn.Module,
    example: tuple[Any, ...],
    path: Path,
    *,
    inputs: Iterable[str],
    outputs: Iterable[str],
    axes: Mapping[str, Mapping[int, str]],
) -> None:
    """Write the graph that the example runs through; ``axes`` names those that vary, by tensor and place."""
    with warnings.catch_warnings():
        # The newer exporter cannot take packed sequences yet, and the one that can says so on every call.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Converting a tensor to a Python")
        warnings.filterwarnings("ignore", message="Exporting a model to ONNX with a batch_size other than 1")
        warnings.filterwarnings("ignore", message="Constant folding - Only steps=1")
        torch.onnx.export(
            module.eval(),
            example,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(places) for name, places in axes.items()},
            opset_version=OPSET,
            dynamo=False,
        )
