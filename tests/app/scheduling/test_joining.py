"""Requests of numbers through the real batcher: joined along the batch axis, or one at a time, each with its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from app.errors import DeadlineExceeded, InferenceFailed, InferenceHung
from app.modelpack.store import open_package
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.tensors import TensorModel
from app.scheduling.batcher import Batcher
from app.scheduling.estimate import RunCosts
from app.scheduling.job import Job, Row
from app.scheduling.policy import Budget, Priority, neighbours
from app.scheduling.queue import Waiting
from app.scheduling.ticket import Answer, Batch, Wait
from app.scheduling.watchdog import Watchdog, Work
from tests.endless import DAYS, endless
from tests.graphs import IN, LSTM, RUNNING_SUM, graph, lstm, running_sum, tensor_package

END_TO_END = Budget(max_cells=100, max_rows=9, max_padding_share=0.1, joining="end to end")
ALONE = Budget(max_cells=100, max_rows=9, max_padding_share=0.1, joining="alone")


def test_rows_end_to_end_join_whatever_their_lengths() -> None:
    assert neighbours([1, 5, 40], 0, END_TO_END) == (0, 3)
    assert neighbours([1, 5, 40, 60], 0, END_TO_END) == (0, 3)


def test_a_row_of_a_lane_that_joins_none_runs_alone() -> None:
    assert neighbours([4, 4, 4], 1, ALONE) == (1, 2)


def test_a_request_that_joins_none_is_forecast_as_a_run_of_its_own() -> None:
    costs = RunCosts()
    lanes = {"alone": Gate(), "end to end": Gate()}
    for joining, lane in lanes.items():
        lane.joining = joining
        for _ in range(8):
            costs.observe(lane, 1, 4, 0.5)
    waiting = Waiting(ALONE, 1_000, costs=costs)
    forecast = {joining: waiting.price(job_of(lane, 4)) for joining, lane in lanes.items()}
    assert forecast["alone"] == pytest.approx(0.5)
    assert forecast["end to end"] < 0.4


def job_of(lane: "Gate", length: int) -> Job:
    job = Job(lane, 10.0)
    job.rows = [Row(job, 0, np.zeros(length, np.int64))]
    return job


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=40).map(sorted),
    place=st.floats(0, 1, exclude_max=True),
)
def test_end_to_end_no_batch_has_more_cells_than_the_budget(lengths: list[int], place: float) -> None:
    first = int(place * len(lengths))
    low, high = neighbours(lengths, first, END_TO_END)
    assert 0 <= low <= first < high <= len(lengths)
    assert high - low == 1 or (high - low <= 9 and sum(lengths[low:high]) <= 100)


@dataclass(eq=False)
class Gate:
    """A lane that keeps the only thread until it is told to go on."""

    model: str = "gate"
    version: str = "1"
    joining: str = "padded"
    opened: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)

    def run(self, rows: Sequence[Any]) -> list[Answer]:
        self.started.set()
        assert self.opened.wait(10)
        return [() for _ in rows]

    def renew(self) -> None:
        raise AssertionError("nothing here hangs")

    def interrupt(self) -> None:
        raise AssertionError("nothing here hangs")


@dataclass
class Runs:
    """An observer that remembers the runs of all but the gate."""

    batches: list[Batch] = field(default_factory=list)

    def batch(self, batch: Batch) -> None:
        if batch.lane.model != "gate":
            self.batches.append(batch)

    def dropped(self, reason: str, rows: int) -> None:
        """Do nothing."""

    def queue(self, rows: int, tokens: int) -> None:
        """Do nothing."""

    def waits(self, seconds: Mapping[Priority, float], lag_s: float) -> None:
        """Do nothing."""

    def waited(self, waits: Sequence[Wait]) -> None:
        """Do nothing."""


@asynccontextmanager
async def held(runs: Runs) -> AsyncIterator[tuple[Batcher, threading.Event]]:
    """Yield a batcher whose thread is kept until the event is set, so that what comes meanwhile can run together."""
    budget = Budget(max_cells=64, max_rows=8, max_padding_share=0.1)
    made = Batcher(threads=1, budget=budget, max_queue_tokens=10_000, observer=runs)
    made.start()
    gate = Gate()
    try:
        first = asyncio.create_task(made.submit(gate, [np.zeros(1, np.int64)], 10))
        await asyncio.to_thread(gate.started.wait, 5)
        yield made, gate.opened
        await first
    finally:
        gate.opened.set()
        await asyncio.to_thread(made.close)


def opened(root: Path, raw: bytes, said: dict[str, Any]) -> TensorModel:
    model = open_model(open_package(tensor_package(root, raw, said)), choose("cpu"))
    assert isinstance(model, TensorModel)
    return model


async def ask(batcher: Batcher, model: TensorModel, feeds: dict[str, Any], timeout_s: float = 10) -> Answer:
    block = model.block(feeds)
    return (await batcher.submit(model.lane(block), [block], timeout_s)).rows[0]


def drawn(rows: int, steps: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, steps, IN)).astype(np.float32)
    return {"x": x, "shift": random.integers(0, 9, rows)}


async def test_requests_of_one_shape_run_together_and_never_with_another(tmp_path: Path) -> None:
    raw, runs = lstm(), Runs()
    model = opened(tmp_path, raw, LSTM)
    asked = [drawn(1 + at % 5, 3 + at % 2, at) for at in range(20)]
    async with held(runs) as (batcher, gate):
        answers = [asyncio.create_task(ask(batcher, model, feeds)) for feeds in asked]
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(*answers)
    direct = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    for feeds, (states, following) in zip(asked, found, strict=True):
        own_states, own_next = direct.run(None, feeds)
        np.testing.assert_allclose(states, own_states, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(following, own_next)
    assert len({batch.lane for batch in runs.batches}) == 2
    assert sum(batch.rows for batch in runs.batches) == 20
    assert len(runs.batches) < 20
    assert all(batch.rows <= 8 and batch.cells == batch.tokens <= 64 for batch in runs.batches)


async def test_a_graph_without_a_batch_runs_one_request_at_a_time(tmp_path: Path) -> None:
    runs = Runs()
    model = opened(tmp_path, running_sum(), RUNNING_SUM)
    async with held(runs) as (batcher, gate):
        feeds = {"x": np.ones((3, IN), np.float32)}
        answers = [asyncio.create_task(ask(batcher, model, feeds)) for _ in range(4)]
        await asyncio.sleep(0)
        gate.set()
        for (found,) in await asyncio.gather(*answers):
            np.testing.assert_array_equal(found[:, 0], [1, 2, 3])
    assert [batch.rows for batch in runs.batches] == [1, 1, 1, 1]


def lookup() -> tuple[bytes, dict[str, Any]]:
    """Return a graph of ids int64[batch] to y float32[batch], a table of three, which fails on any other id."""
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])
    table = numpy_helper.from_array(np.array([0, 10, 20], np.float32), "table")
    said = {
        "inputs": [{"name": "ids", "dtype": "int64", "axes": ["batch"]}],
        "outputs": [{"name": "y", "dtype": "float32", "axes": ["batch"]}],
        "tensors": {"batched": True},
    }
    return graph([helper.make_node("Gather", ["table", "ids"], ["y"])], [ids], [y], [table]), said


async def test_a_request_that_the_graph_fails_on_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    model = opened(tmp_path, *lookup())
    async with held(Runs()) as (batcher, gate):
        asked = [[1], [2, 0], [7, 1], [0, 1, 2]]
        answers = [asyncio.create_task(ask(batcher, model, {"ids": np.array(ids, np.int64)})) for ids in asked]
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(*answers, return_exceptions=True)
    assert isinstance(found[2], InferenceFailed)
    assert [one[0].tolist() for one in found if not isinstance(one, BaseException)] == [[10], [20, 0], [0, 10, 20]]


async def test_a_request_whose_time_is_up_is_not_run(tmp_path: Path) -> None:
    runs = Runs()
    model = opened(tmp_path, *lookup())
    async with held(runs) as (batcher, gate):
        with pytest.raises(DeadlineExceeded):
            await ask(batcher, model, {"ids": np.array([1], np.int64)}, timeout_s=0.01)
        gate.set()
    assert runs.batches == []


ENDLESS = {
    "inputs": [{"name": name, "dtype": "int64", "axes": []} for name in ("times", "start")],
    "outputs": [{"name": "end", "dtype": "int64", "axes": []}],
    "tensors": {"batched": False},
}


@dataclass
class Alarms:
    """An alarm that remembers what hung and what was replaced."""

    hangs: list[str] = field(default_factory=list)
    renewals: list[Exception | None] = field(default_factory=list)

    def hung(self, work: Work, limit_s: float) -> None:
        assert limit_s >= 0.3
        self.hangs.append(work.model)

    def renewed(self, work: Work, broken: Exception | None) -> None:
        assert work.model == "numbers"
        self.renewals.append(broken)

    def failing(self, *, failing: bool) -> None:
        raise AssertionError(f"one hang is no failing service: {failing}")


async def test_a_graph_of_numbers_that_hangs_is_opened_anew_and_answers_the_next_request(tmp_path: Path) -> None:
    model, alarms = opened(tmp_path, endless(), ENDLESS), Alarms()
    (session,), watchdog = model.sessions, Watchdog(0.3, alarms)
    batcher = Batcher(threads=1, budget=ALONE, max_queue_tokens=10_000, observer=Runs(), watchdog=watchdog)
    watchdog.start()
    batcher.start()
    try:
        with pytest.raises(InferenceHung):
            await ask(batcher, model, {"times": np.array(DAYS), "start": np.array(0)}, 30)
        (end,) = await ask(batcher, model, {"times": np.array(5), "start": np.array(1)}, 30)
        assert end.tolist() == 11
        assert (alarms.hangs, alarms.renewals) == (["numbers"], [None])
    finally:
        session.interrupt()  # the thread that was left to it
        await asyncio.to_thread(batcher.close)
        watchdog.close()
