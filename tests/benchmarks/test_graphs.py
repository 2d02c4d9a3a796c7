"""Every form of a packed graph decides as it does, whatever its task."""

from pathlib import Path

import pytest

from app.modelpack.manifest import Role
from app.modelpack.store import open_package
from benchmarks.graphs import Cost, costs, shown
from benchmarks.variants import FP32, PACKED
from tests.packages import TINY
from tests.server import ROOT

FORMS = 6


@pytest.mark.parametrize(
    ("folder", "role"),
    [
        ("models/topic-en-trec/1", "model"),
        ("models/extract-zh/1", "model"),
        ("models/summarize-zh/1", "encoder"),
        ("models/summarize-zh/1", "step"),
    ],
)
def test_every_form_of_a_bundled_graph_decides_nearly_as_fp32_does(folder: str, role: Role) -> None:
    found = costs(open_package(ROOT / Path(folder)), 1, role)
    assert len(found) == FORMS
    assert found[FP32].agrees == 1.0
    assert all(cost.agrees > 0.9 for cost in found.values())
    assert all(0 < cost.open_ms < float("inf") for cost in found.values())
    assert found[PACKED].mb < found["int8 LSTM, fp16 tables"].mb < found["int8 LSTM, fp32 tables"].mb


def test_the_tables_tell_each_graph_and_what_a_choice_comes_to() -> None:
    one = {PACKED: cost_of(2.0, 10.0), FP32: cost_of(6.0, 20.0)}
    other = {PACKED: cost_of(4.0, 30.0), FP32: cost_of(8.0, 30.0)}
    section = {
        "measured_at": "2026-11-21T10:00:00+00:00",
        "machine": {"cores": 2},
        "rounds": 1,
        "graphs": {"a/1": one, "b/2 step": other},
    }
    lines = shown(section).splitlines()
    assert f"| {PACKED} | 1.00x | 1.00x | 1.00x | 1.00x | 97.5% | 2 |" in lines
    assert f"| {FP32} | 2.50x | 1.50x | 1.50x | 1.50x | 97.5% | 2 |" in lines
    assert f"| b/2 step | {FP32} | 8.0 | 30 | 30 | 30 | 97.5% |" in lines


def test_a_graph_without_shrunk_tables_has_no_forms_of_them() -> None:
    found = costs(open_package(TINY), rounds=1)
    assert {PACKED, FP32} <= found.keys()


def cost_of(mb: float, times: float) -> dict[str, float]:
    cost = Cost(mb, times, times, times, 0.975)
    return {name: getattr(cost, name) for name in ("mb", "open_ms", "short_us", "long_us", "agrees")}
