"""Feeds of a batch, and what a session refuses."""

import numpy as np
import pytest

from app.errors import InferenceFailed
from app.modelpack.store import open_package
from app.runtime.providers import choose
from app.runtime.session import Session, padded
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
