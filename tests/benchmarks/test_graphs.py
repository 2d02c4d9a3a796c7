"""Variants of a packed graph answer as it does."""

import numpy as np
import onnxruntime
import pytest

from app.modelpack.store import open_package
from benchmarks.graphs import MARK, PACKED, costs, table, variants
from benchmarks.report import PERFORMANCE
from tests.packages import CHINESE, TINY, TOPIC
from tests.server import ROOT


@pytest.mark.parametrize("folder", [TINY, CHINESE, TOPIC], ids=lambda folder: folder.parent.name)
def test_every_variant_answers_as_the_packed_graph_does(folder: object) -> None:
    package = open_package(folder)  # type: ignore[arg-type]
    feeds = {"ids": np.array([[5, 7, 9], [6, 0, 0]], np.int64), "lens": np.array([3, 1], np.int64)}
    answers = {
        kind.name: onnxruntime.InferenceSession(kind.raw, providers=["CPUExecutionProvider"]).run(["logits"], feeds)[0]
        for kind in variants(package)
    }
    assert len(answers) == 5
    for logits in answers.values():
        assert np.abs(logits - answers[PACKED]).max() < 0.2 * max(1.0, np.abs(answers[PACKED]).max())


def test_the_table_has_a_line_a_variant_beside_the_packed_graph() -> None:
    lines = table({"tiny/1": costs(open_package(TINY), rounds=1)}).splitlines()
    assert len(lines) == 2 + 5
    assert "1.00x" in lines[2]


def test_the_page_has_one_place_for_the_table() -> None:
    assert (ROOT / PERFORMANCE).read_text("utf-8").count(f"<!-- {MARK} -->") == 1
