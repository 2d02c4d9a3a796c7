"""Feeds of a batch, and what a session refuses."""

import threading
from functools import partial

import numpy as np
import pytest

from app.errors import InferenceFailed
from app.modelpack.manifest import Graph
from app.modelpack.store import open_package
from app.modelpack.tensors import Tensor
from app.runtime.providers import choose
from app.runtime.session import Session, padded
from tests.endless import DAYS, endless
from tests.packages import TINY


def test_rows_are_padded_to_the_longest_of_them() -> None:
    feeds = padded([np.array([5, 6]), np.array([7, 8, 9, 4]), np.array([3])], pad_id=0)
    assert feeds["ids"].tolist() == [[5, 6, 0, 0], [7, 8, 9, 4], [3, 0, 0, 0]]
    assert feeds["lens"].tolist() == [2, 4, 1]
    assert feeds["ids"].dtype == feeds["lens"].dtype == np.int64


def test_an_output_that_the_graph_lacks_fails_cleanly() -> None:
    package = open_package(TINY)
    graph = package.manifest.graphs[0]
    session = Session(graph, package.graph_bytes(graph), choose("cpu"))
    with pytest.raises(InferenceFailed, match="the model failed on this input"):
        session.run(["poetry"], padded([np.array([1])], 0))


def test_a_run_that_is_interrupted_raises_and_the_next_one_is_as_any() -> None:
    scalar = partial(Tensor, dtype="int64", axes=[])
    inputs, outputs = [scalar(name="times"), scalar(name="start")], [scalar(name="end")]
    graph = Graph.model_construct(file="endless.onnx", precision="fp32", inputs=inputs, outputs=outputs)
    session, zero = Session(graph, endless(), choose("cpu")), np.array(0)
    threading.Timer(0.5, session.interrupt).start()
    with pytest.raises(InferenceFailed):
        session.run(["end"], {"times": np.array(DAYS), "start": zero})
    assert session.run(["end"], {"times": np.array(5), "start": zero}) == [10]
