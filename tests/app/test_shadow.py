"""Candidates: asked after the answer, compared, dropped where callers wait, and never in a caller's way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.errors import WaitTooLong
from app.exchange import Query, Reply
from app.main import Parts
from app.measures.shadows import OUTCOMES
from app.runtime.changes import SetAliases, SetShadow, Unload
from app.runtime.traffic import Alias, Shadow
from app.settings import Settings
from app.shadow import MOST_WAITING
from tests.operating import louder
from tests.packages import copy_tiny
from tests.waiting import until

ONE = Query(["a good film"], model="tiny")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder of version 1, of 2 that says the same, less loudly, and of 3 that says the opposite."""
    copy_tiny(tmp_path, version=1)
    louder(tmp_path, 2)
    louder(tmp_path, 3, factor=-1.0)
    return tmp_path


@asynccontextmanager
async def serving(root: Path, candidate: int, share: float = 1.0, **settings: Any) -> AsyncIterator[Parts]:
    """Yield a service in which version 1 answers and another is tried."""
    parts = Parts(Settings(models_dir=root, **settings))
    async with parts.lifespan(FastAPI()):
        await until(lambda: parts.service.phase == "ready")
        await parts.control.change(SetAliases("tiny", {"stable": Alias(1)}))
        await parts.control.change(SetShadow("tiny", Shadow(candidate, share)))
        yield parts


def outcomes(parts: Parts, version: int) -> dict[str, int]:
    found = {name: parts.metrics.shadow_texts.labels("tiny", str(version), name)._value.get() for name in OUTCOMES}
    return {name: int(count) for name, count in found.items() if count}


async def told(parts: Parts, version: int, texts: int, within_s: float = 20) -> dict[str, int]:
    """Return the outcomes once there are so many."""
    await until(lambda: sum(outcomes(parts, version).values()) >= texts, within_s=within_s)
    return outcomes(parts, version)


def value(parts: Parts, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    samples = [sample for metric in parts.metrics.registry.collect() for sample in metric.samples]
    found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
    assert found, name
    return sum(found)


async def ask(parts: Parts, query: Query = ONE) -> Reply:
    reply = await parts.service.answer("sentiment", query)
    assert [result.version for result in reply.results] == [1] * len(query.texts)
    return reply


@pytest.mark.parametrize(("candidate", "outcome"), [(2, "agreed"), (3, "differed")])
async def test_a_candidate_is_asked_what_was_answered_and_compared(root: Path, candidate: int, outcome: str) -> None:
    async with serving(root, candidate) as parts:
        answer = (await ask(parts)).results[0].answer
        own = (await parts.service.answer("sentiment", Query(ONE.texts, model="tiny", version=candidate))).results[0]
        assert await told(parts, candidate, 1) == {outcome: 1}
        apart = abs(own.answer.scores[answer.label] - answer.score)
        assert value(parts, "sluice_shadow_probability_difference_sum") == pytest.approx(apart)
        assert value(parts, "sluice_shadow_latency_difference_seconds_count") == 1
        assert value(parts, "sluice_shadow_infer_seconds_total", side="serving") > 0
        assert value(parts, "sluice_shadow_infer_seconds_total", side="candidate") > 0


async def test_what_a_candidate_does_counts_as_nobodys_request(root: Path) -> None:
    async with serving(root, 3, cache_bytes=1 << 20) as parts:
        for _ in range(3):
            await ask(parts)
        assert await told(parts, 3, 3) == {"differed": 3}
        assert value(parts, "sluice_items_total", version="1", code="ok") == 3
        assert value(parts, "sluice_items_total", version="3") == 0
        assert value(parts, "sluice_infer_duration_seconds_count", version="3") == 0
        assert value(parts, "sluice_batch_rows_count", version="1") == 1, "two of the three were kept"
        assert value(parts, "sluice_cache_rows_total") == 3
        assert value(parts, "sluice_cache_entries") == 1
        assert value(parts, "sluice_shadow_latency_difference_seconds_count") == 1, "what was kept took no time"
        assert value(parts, "sluice_queue_rows") == 0


async def test_who_names_a_version_is_left_alone_and_who_names_an_alias_is_not(root: Path) -> None:
    async with serving(root, 2) as parts:
        await ask(parts, Query(ONE.texts, model="tiny", version=1))
        await parts.service.answer("sentiment", Query(ONE.texts, model="tiny", version="latest"))
        await ask(parts, Query(ONE.texts, model="tiny", version="stable"))
        await told(parts, 2, 2)
        assert outcomes(parts, 2).keys() <= {"agreed", "differed"}
        await asyncio.sleep(0.1)
        assert sum(outcomes(parts, 2).values()) == 2


async def test_a_key_is_of_the_share_or_not(root: Path) -> None:
    shadow = Shadow(2, 0.5)
    keys = [str(at) for at in range(12)]
    taken = sum(shadow.takes("tiny", key) for key in keys)
    assert 0 < taken < len(keys)
    async with serving(root, 2, shadow.share) as parts:
        for times in (1, 2):
            for key in keys:
                await ask(parts, Query(ONE.texts, model="tiny", key=key))
                await asyncio.sleep(0.02)
            await told(parts, 2, times * taken)
        assert sum(outcomes(parts, 2).values()) == 2 * taken


async def test_every_text_of_a_request_is_compared_and_times_of_single_texts_alone(root: Path) -> None:
    async with serving(root, 3) as parts:
        await ask(parts, Query(["a good film", "a bad film " * 2000, "fine"], model="tiny"))
        assert sum((await told(parts, 3, 3)).values()) == 3
        await ask(parts, Query(ONE.texts, model="tiny", explain=True))
        await told(parts, 3, 4)
        assert value(parts, "sluice_shadow_latency_difference_seconds_count") == 0
        assert value(parts, "sluice_shadow_probability_difference_count") == 4


async def test_while_callers_wait_texts_are_dropped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(root, 2) as parts:

        def full(*_: object) -> None:
            raise WaitTooLong("callers wait")

        monkeypatch.setattr(parts._batcher, "refuse_unless_soon", full)
        await ask(parts)
        assert await told(parts, 2, 1) == {"dropped": 1}


async def test_more_than_may_wait_are_dropped_whole(root: Path) -> None:
    async with serving(root, 2) as parts:
        await asyncio.gather(*(ask(parts, Query(["a good film"] * 100, model="tiny")) for _ in range(3)))
        found = await told(parts, 2, 300, within_s=60)
        assert found["dropped"] >= 300 - 2 * MOST_WAITING


@dataclass(eq=False)
class Stuck:
    """A lane that never answers, or raises."""

    broken: bool = False
    model: str = "tiny"
    version: str = "2"
    runs: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def run(self, rows: Sequence[object]) -> list[Any]:
        self.runs += 1
        if self.broken:
            raise RuntimeError("no")
        self.gate.wait(30)
        return [() for _ in rows]

    def renew(self) -> None:
        """Leave it as it is."""


def hold(parts: Parts, lane: Stuck) -> None:
    object.__setattr__(parts.registry.now.candidates["tiny"].model, "plain", lane)


async def test_a_candidate_that_raises_costs_its_text_alone(root: Path) -> None:
    async with serving(root, 2) as parts:
        hold(parts, Stuck(broken=True))
        for _ in range(3):
            await ask(parts)
        assert await told(parts, 2, 3) == {"failed": 3}


async def test_a_candidate_that_hangs_is_asked_no_more_and_holds_nobody_up(root: Path) -> None:
    async with serving(root, 2, watchdog_ms=200, threads=1) as parts:
        lane = Stuck()
        hold(parts, lane)
        for _ in range(5):
            await ask(parts)
        assert await told(parts, 2, 5) == {"failed": 1, "dropped": 4}
        await ask(parts)
        assert (await told(parts, 2, 6))["dropped"] == 5
        assert lane.runs == 1
        parts.service.refuse_unless_fit()
        assert value(parts, "sluice_hangs_total", version="2") == 1
        lane.gate.set()


@pytest.mark.parametrize("end", ["unload", "drain"])
async def test_nothing_waits_for_a_candidate_that_is_asked(root: Path, end: str) -> None:
    def tasks() -> int:
        return len(asyncio.all_tasks())

    before = tasks()
    lane = Stuck()
    async with serving(root, 2, watchdog_ms=0) as parts:
        hold(parts, lane)
        await asyncio.gather(*(ask(parts) for _ in range(4)))
        await until(lambda: lane.runs == 1)
        if end == "unload":
            async with asyncio.timeout(10):
                await parts.control.change(Unload("tiny", 2))
            assert parts.registry.now.candidates == {}
            await ask(parts)
    await until(lambda: tasks() == before)
    lane.gate.set()
