"""The stopwatch: each stage gets what it used itself, and every function it stands around is there."""

import asyncio
import importlib
import time

import pytest

from benchmarks.profile import Profile, table_of
from benchmarks.stopwatch import LOOP, OTHER, STAGES, Overhead, Stopwatch

OLD = {
    "app.api.guard:Guard._count",
    "app.service:Service._plain_items",
    "app.service:classify",
    "app.api.predict:json_response",
}
"""Of earlier versions, or of an option; a comparison with one needs them."""


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_a_stage_gets_what_it_used_less_what_the_stages_within_it_did() -> None:
    watch = Stopwatch()
    inner = watch.around("inner", lambda: burn(0.04))

    def work() -> None:
        inner()
        burn(0.01)
        inner()

    watch.around("outer", work)()
    record = watch.of_thread()
    assert record.calls == {"outer": 1, "inner": 2}
    assert record.inner == {"outer": 2}
    assert record.spent_ns["inner"] == pytest.approx(80e6, rel=0.2)
    assert record.spent_ns["outer"] == pytest.approx(10e6, rel=0.5)


async def test_a_coroutine_is_timed_while_it_runs_and_not_while_it_waits() -> None:
    watch = Stopwatch()

    async def work(gate: asyncio.Event) -> str:
        burn(0.02)
        await gate.wait()
        burn(0.02)
        return "done"

    gate = asyncio.Event()
    task = asyncio.ensure_future(watch.around("work", work)(gate))
    await asyncio.sleep(0)
    burn(0.05)
    gate.set()
    assert await task == "done"
    assert watch.of_thread().spent_ns["work"] == pytest.approx(40e6, rel=0.3)


async def test_a_coroutine_learns_that_it_is_cancelled() -> None:
    heard = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    task = asyncio.ensure_future(Stopwatch().around("work", work)())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cancelled"]


def test_what_the_stopwatch_adds_is_taken_off_and_the_rest_of_a_thread_is_named() -> None:
    watch = Stopwatch()
    inner = watch.around("inner", lambda: None)
    watch.around("outer", lambda: [inner() for _ in range(100)])()
    record = watch.of_thread()
    spent = record.spent_ns.total()
    less = Overhead(own_ns=50.0, around_ns=20.0).less(record, spent + 1000, "rest")
    assert less["inner"] == max(0, record.spent_ns["inner"] - 5000)
    assert less["outer"] == max(0, record.spent_ns["outer"] - 50 - 2000)
    assert less["rest"] == 1000 - 20


def test_every_function_of_a_stage_is_there() -> None:
    missing = []
    for name in (name for names in STAGES.values() for name in names):
        module, _, path = name.partition(":")
        owner: object = importlib.import_module(module)
        for part in path.split("."):
            owner = getattr(owner, part, None)
        missing += [] if owner else [name]
    assert set(missing) <= OLD


def test_the_table_adds_up_and_puts_the_largest_first() -> None:
    stages = {"write": 5.25, "inference": 100.0, LOOP: 20.0, OTHER: 0.01}
    lines = table_of([Profile("before", 8, 990.4, 1.234, stages), Profile("now", 8, 1990.4, 0.5, stages)]).splitlines()
    assert lines[0] == "| us of CPU a request | 8 conn., before | 8 conn. |"
    assert [line.split(" | ")[0] for line in lines[2:5]] == ["| inference", f"| {LOOP}", "| write"]
    assert lines[-3:] == ["| **all** | **125** | **125** |", "| requests/s | 990 | 1,990 |", "| p50 ms | 1.23 | 0.50 |"]
