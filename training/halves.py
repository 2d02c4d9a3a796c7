"""Weights in half precision on disk: half the bytes of a package's fp32 graph, which is computed in fp32 all the same.

A run's weights are rounded before anything is exported, so that torch and the graph hold the same numbers.
"""

from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

SMALLEST = 1024
"""Numbers in a tensor that is worth a node of its own."""
LARGEST = float(np.finfo(np.float16).max)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


@torch.no_grad()
def rounded(network: NetworkT) -> NetworkT:
    """Round every weight, in place, to what float16 can say, and return the network."""
    for weight in network.parameters():
        weight.copy_(weight.half().float())
    return network


def halve(path: Path) -> None:
    """Rewrite a graph with its larger float32 constants as float16, each under a cast that is folded on opening.

    A matrix that is another's transpose, as a vocabulary's that is both looked up and multiplied with, is kept once.
    """
    model = onnx.load(path)
    nodes, kept = [], []
    halves: dict[str, NDArray[np.float16]] = {}
    for one in model.graph.initializer:
        numbers = numpy_helper.to_array(one)
        if one.data_type != TensorProto.FLOAT or numbers.size < SMALLEST or np.abs(numbers).max() > LARGEST:
            kept.append(one)
            continue
        half = numbers.astype(np.float16)
        twin = next((name for name, other in halves.items() if _are_transposes(half, other)), None)
        if twin is not None:
            nodes.append(helper.make_node("Transpose", [twin], [one.name], perm=[1, 0]))
            continue
        halves[one.name] = half
        kept.append(numpy_helper.from_array(half, f"{one.name}_half"))
        nodes.append(helper.make_node("Cast", [f"{one.name}_half"], [one.name], to=TensorProto.FLOAT))
    nodes += model.graph.node
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _are_transposes(one: NDArray[np.float16], other: NDArray[np.float16]) -> bool:
    return one.ndim == other.ndim == 2 and one.shape == other.shape[::-1] and np.array_equal(one, other.T)  # noqa: PLR2004
