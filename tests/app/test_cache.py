"""The cache: exact, bounded in bytes, one run for all who ask at once, and nobody pays for who goes away."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.cache import ENTRY_BYTES, Cache
from app.errors import DeadlineExceeded, InferenceFailed, QueueFull
from app.main import create_app
from app.scheduling.ticket import Answers, Ticket
from app.settings import Settings
from tests.app.scheduling.test_batcher import Counts, Ids, Lane, batcher, firsts, row
from tests.packages import PACKAGES

if TYPE_CHECKING:
    from app.scheduling.batcher import Batcher

ROOM = 1 << 20


@dataclass
class Seen:
    """An observer that remembers."""

    hits: int = 0
    shared: int = 0
    misses: int = 0
    entries: int = 0
    size: int = 0
    jobs: list[tuple[int, int, int]] = field(default_factory=list)

    def rows(self, hits: int, shared: int, misses: int) -> None:
        self.jobs.append((hits, shared, misses))

    def kept(self, entries: int, size: int) -> None:
        self.entries, self.size = entries, size


@asynccontextmanager
async def cache(
    max_bytes: int = ROOM, counts: Counts | None = None, max_queue_tokens: int = 1_000
) -> AsyncIterator[tuple[Cache, Seen]]:
    seen = Seen()
    async with batcher(counts, max_queue_tokens=max_queue_tokens) as running:
        yield Cache(running, max_bytes, seen), seen


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_was_answered_is_not_run_again_and_order_is_kept() -> None:
    lane = Lane.opened()
    async with cache() as (kept, seen):
        assert firsts((await kept.submit(lane, [row(1), row(2)], 5)).rows) == [1, 2]
        again = await kept.submit(lane, [row(3), row(2), row(1), row(3)], 5)
    assert firsts(again.rows) == [3, 2, 1, 3]
    assert seen.jobs == [(0, 0, 2), (2, 1, 1)]
    assert sum(len(batch) for batch in lane.batches) == 3


async def test_a_job_of_which_everything_is_known_waits_for_nothing() -> None:
    lane = Lane.opened()
    async with cache() as (kept, _):
        await kept.submit(lane, [row(1)], 5)
        waiter = kept.enqueue(lane, [row(1)], 5)
        assert waiter.future.done()
        answers = waiter.future.result()
        assert answers.submitted == answers.started == answers.ended
        kept.withdraw(waiter)


async def test_another_lane_knows_nothing_of_this_ones_answers() -> None:
    one, other = Lane.opened(), Lane.opened()
    async with cache() as (kept, seen):
        await kept.submit(one, [row(1)], 5)
        await kept.submit(other, [row(1)], 5)
    assert seen.jobs == [(0, 0, 1), (0, 0, 1)]
    assert [len(lane.batches) for lane in (one, other)] == [1, 1]


async def test_rows_that_are_asked_for_at_once_run_once() -> None:
    lane = Lane()
    async with cache() as (kept, seen):
        asked = [asyncio.create_task(kept.submit(lane, [row(7)], 5)) for _ in range(5)]
        await turns()
        lane.gate.set()
        assert [firsts(answers.rows) for answers in await asyncio.gather(*asked)] == [[7]] * 5
    assert lane.batches == [[3]]
    assert seen.jobs == [(0, 0, 1)] + [(0, 1, 0)] * 4


async def test_the_first_who_asked_may_go_and_the_others_are_answered() -> None:
    lane, counts = Lane(), Counts()
    async with cache(counts=counts) as (kept, _):
        busy = asyncio.create_task(kept.submit(lane, [row(99)], 5))
        await asyncio.to_thread(lane.started.wait, 5)
        leader, follower = (asyncio.create_task(kept.submit(lane, [row(1)], 5)) for _ in range(2))
        await turns()
        leader.cancel()
        await turns()
        lane.gate.set()
        assert firsts((await follower).rows) == [1]
        await busy
    assert counts.drops == []


async def test_a_row_for_which_nobody_waits_any_more_leaves_the_queue() -> None:
    lane, counts = Lane(), Counts()
    async with cache(counts=counts) as (kept, _):
        busy = asyncio.create_task(kept.submit(lane, [row(99)], 5))
        await asyncio.to_thread(lane.started.wait, 5)
        gone = [asyncio.create_task(kept.submit(lane, [row(1)], 5)) for _ in range(2)]
        await turns()
        for task in gone:
            task.cancel()
        await turns()
        assert counts.depth == (0, 0)
        lane.gate.set()
        await busy
        assert firsts((await kept.submit(lane, [row(1)], 5)).rows) == [1]  # asked for anew
    assert counts.drops == [("cancelled", 1)]


async def test_the_leaders_deadline_is_not_the_followers() -> None:
    lane = Lane()
    async with cache() as (kept, _):
        busy = asyncio.create_task(kept.submit(lane, [row(99)], 5))
        await asyncio.to_thread(lane.started.wait, 5)
        leader = asyncio.create_task(kept.submit(lane, [row(1)], 0.02))
        follower = asyncio.create_task(kept.submit(lane, [row(1)], 5))
        with pytest.raises(DeadlineExceeded):
            await leader
        lane.gate.set()
        assert firsts((await follower).rows) == [1]
        await busy


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    lane = Lane(poison=6)
    async with cache() as (kept, seen):
        asked = [asyncio.create_task(kept.submit(lane, [row(6)], 5)) for _ in range(3)]
        await turns()
        lane.gate.set()
        for failed in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(failed, InferenceFailed)
        lane.poison = -1
        assert firsts((await kept.submit(lane, [row(6)], 5)).rows) == [6]
    assert seen.jobs[-1] == (0, 0, 1)


async def test_a_full_queue_refuses_the_job_and_takes_back_what_of_it_was_queued() -> None:
    lane, counts = Lane(), Counts()
    async with cache(counts=counts, max_queue_tokens=8) as (kept, _):
        busy = asyncio.create_task(kept.submit(lane, [row(99)], 5))
        await asyncio.to_thread(lane.started.wait, 5)
        with pytest.raises(QueueFull):
            kept.enqueue(lane, [row(at) for at in range(4)], 5)
        assert counts.depth == (0, 0)
        lane.gate.set()
        await busy


async def test_answers_are_kept_within_the_bytes_and_the_ones_used_last_stay() -> None:
    lane = Lane.opened()
    entry = ENTRY_BYTES + 24 + 8  # three ids, and the answer's one
    async with cache(max_bytes=2 * entry) as (kept, seen):
        for first in (1, 2, 1, 3):
            await kept.submit(lane, [row(first)], 5)
        assert (seen.entries, seen.size) == (2, 2 * entry)
        await kept.submit(lane, [row(1)], 5)
        await kept.submit(lane, [row(2)], 5)
    assert [job[0] for job in seen.jobs] == [0, 0, 1, 0, 1, 0]


async def test_an_answer_larger_than_the_cache_is_not_kept() -> None:
    async with cache(max_bytes=ENTRY_BYTES) as (kept, seen):
        for _ in range(2):
            await kept.submit(lane := Lane.opened(), [row(1)], 5)
        assert lane.batches
        assert seen.entries == 0


class Standing:
    """A batcher that answers at once and remembers no lane."""

    def enqueue(self, lane: Lane, rows: list[Ids], timeout_s: float, *, priority: str) -> Ticket:
        del timeout_s, priority
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        future.set_result(Answers(list(lane.run(rows)), 1.0, 1.0, 1.0))
        return cast("Ticket", SimpleNamespace(future=future))

    def withdraw(self, ticket: Ticket) -> None:
        """Nothing is left of it."""


async def test_the_answers_of_a_lane_that_is_gone_go_with_it() -> None:
    staying, leaving, seen = Lane.opened(), Lane.opened(), Seen()
    kept = Cache(cast("Batcher", Standing()), ROOM, seen)
    await kept.submit(leaving, [row(1), row(2)], 5)
    await kept.submit(staying, [row(1)], 5)
    assert seen.entries == 3
    del leaving
    gc.collect()
    await kept.submit(staying, [row(1)], 5)
    assert seen.entries == 1
    assert seen.jobs[-1] == (1, 0, 0)


def test_a_text_that_comes_again_in_other_letters_gets_the_same_answer_and_shows_in_the_metrics() -> None:
    app = create_app(Settings(models_dir=PACKAGES, threads=1, cache_bytes=ROOM))
    with TestClient(app) as client:
        while app.state.service.phase == "starting":
            pass
        first, again, explained = (
            client.post("/v1/sentiment", json={"inputs": text, "explain": explain}).json()
            for text, explain in (("A good film", False), ("a GOOD  film", False), ("a good film", True))
        )
        assert first["results"] == again["results"]
        assert again["timings_ms"]["infer"] == 0
        assert explained["results"][0]["explanation"]
        page = client.get("/metrics").text
    assert 'sluice_cache_rows_total{result="hit"} 1.0' in page
    assert 'sluice_cache_rows_total{result="miss"} 2.0' in page
    assert "sluice_cache_entries 2.0" in page


def test_without_the_setting_nothing_is_kept() -> None:
    app = create_app(Settings(models_dir=PACKAGES, threads=1))
    with TestClient(app) as client:
        while app.state.service.phase == "starting":
            pass
        for _ in range(2):
            client.post("/v1/sentiment", json={"inputs": "a good film"})
        page = client.get("/metrics").text
    assert 'sluice_cache_rows_total{result="miss"} 0.0' in page


def test_a_kept_answer_is_a_copy_that_cannot_be_changed() -> None:
    async def kept_answer() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        lane = Lane.opened()
        async with cache() as (kept, _):
            await kept.submit(lane, [row(1)], 5)
            return (await kept.submit(lane, [row(1)], 5)).rows[0][0]

    answer = asyncio.run(kept_answer())
    assert answer.base is None
    assert not answer.flags.writeable
