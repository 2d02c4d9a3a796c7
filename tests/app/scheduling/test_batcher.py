"""The batcher: whatever happens to a batch, every caller hears of it, and nobody pays for a neighbour."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import DeadlineExceeded, Draining, InferenceFailed, InferenceHung, QueueFull, WaitTooLong
from app.scheduling.admission import Patience
from app.scheduling.batcher import Batcher
from app.scheduling.inline import Inline
from app.scheduling.policy import Budget, Priority
from app.scheduling.ticket import Answer, Batch, Ticket, Wait
from app.scheduling.watchdog import Watchdog

Ids = npt.NDArray[np.int64]


@dataclass(eq=False)
class Lane:
    """Answers each row with its own first id; stops at a gate, fails on a poison id."""

    model: str = "fake"
    version: str = "1"
    poison: int = -1
    renewals: int = 0
    interrupts: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    batches: list[list[int]] = field(default_factory=list)

    def run(self, rows: Sequence[Ids]) -> list[Answer]:
        self.batches.append([len(row) for row in rows])
        self.started.set()
        if not self.gate.wait(10):
            raise TimeoutError("the test never opened the gate")
        if any(row[0] == self.poison for row in rows):
            raise RuntimeError("poisoned")
        return [(row[:1],) for row in rows]

    def renew(self) -> None:
        self.renewals += 1

    def interrupt(self) -> None:
        self.interrupts += 1

    @classmethod
    def opened(cls, **more: Any) -> Self:
        lane = cls(**more)
        lane.gate.set()
        return lane


class Slow(Lane):
    """Takes 20 milliseconds a batch."""

    def run(self, rows: Sequence[Ids]) -> list[Answer]:
        time.sleep(0.02)
        return super().run(rows)


class Policy(Lane):
    """Answers each row with the policy that the kernel has for the thread."""

    def run(self, rows: Sequence[Ids]) -> list[Answer]:
        return [(np.array([os.sched_getscheduler(0)]),) for _ in rows]


@dataclass
class Counts:
    """An observer that remembers."""

    batches: list[Batch] = field(default_factory=list)
    drops: list[tuple[str, int]] = field(default_factory=list)
    depth: tuple[int, int] = (0, 0)
    forecasts: dict[Priority, float] = field(default_factory=dict)
    lag_s: float = -1.0
    waits_seen: list[tuple[float, float]] = field(default_factory=list)

    def batch(self, batch: Batch) -> None:
        self.batches.append(batch)

    def dropped(self, reason: str, rows: int) -> None:
        self.drops.append((reason, rows))

    def queue(self, rows: int, tokens: int) -> None:
        self.depth = rows, tokens

    def waits(self, seconds: Mapping[Priority, float], lag_s: float) -> None:
        self.forecasts, self.lag_s = dict(seconds), lag_s

    def waited(self, waits: Sequence[Wait]) -> None:
        self.waits_seen += waits


@asynccontextmanager
async def batcher(
    counts: Counts | None = None,
    threads: int = 1,
    *,
    max_queue_tokens: int = 1_000,
    watchdog: Watchdog | None = None,
    inline: Inline | None = None,
    patience: Patience | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Batcher]:
    made = Batcher(
        threads=threads,
        budget=Budget(max_cells=400, max_rows=8, max_padding_share=0.2),
        max_queue_tokens=max_queue_tokens,
        observer=counts or Counts(),
        watchdog=watchdog,
        inline=inline,
        patience=patience,
        clock=clock,
    )
    made.start()
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)


def row(first: int, length: int = 3) -> Ids:
    return np.full(length, first, np.int64)


def firsts(answers: Sequence[Answer]) -> list[int]:
    return [int(answer[0][0]) for answer in answers]


async def blocked(running: Batcher, lane: Lane) -> "asyncio.Task[Any]":
    """Occupy the only thread, so that what follows has to wait."""
    task = asyncio.create_task(running.submit(lane, [row(99)], 10))
    await asyncio.to_thread(lane.started.wait, 5)
    return task


async def test_answers_come_in_the_order_of_the_rows() -> None:
    async with batcher(threads=2) as running:
        answers = await running.submit(Lane.opened(), [row(at, 1 + at * 7 % 13) for at in range(50)], 5)
    assert firsts(answers.rows) == list(range(50))


@pytest.mark.skipif(sys.platform != "linux", reason="NO POLICIES OF THREADS: os.SCHED_BATCH is Linux's")
async def test_batches_run_on_threads_that_take_no_core_from_the_event_loop_when_they_wake() -> None:
    async with batcher() as running:
        answers = await running.submit(Policy(), [row(1)], 5.0)
    assert firsts(answers.rows) == [os.SCHED_BATCH]


async def test_after_a_batch_whoever_counts_hears_how_long_others_would_wait_and_how_late_the_loop_is() -> None:
    counts = Counts()
    async with batcher(counts) as running:
        await running.submit(Lane.opened(), [row(1, 4)], 5)
    assert counts.forecasts.keys() == {"interactive", "batch"}
    assert counts.lag_s >= 0.0


async def test_waiting_rows_run_with_their_nearest_in_length() -> None:
    lane = Lane()
    async with batcher() as running:
        first = await blocked(running, lane)
        rest = [asyncio.create_task(running.submit(lane, [row(1, n)], 5)) for n in (40, 4, 41, 5)]
        await asyncio.sleep(0)
        lane.gate.set()
        await asyncio.gather(first, *rest)
    assert lane.batches[1:] == [[40, 41], [4, 5]]


async def test_what_arrives_in_one_turn_of_the_event_loop_runs_together() -> None:
    lane = Lane.opened()
    async with batcher() as running:
        await asyncio.gather(*(running.submit(lane, [row(n)], 5) for n in range(6)))
    assert lane.batches == [[3] * 6]


async def test_a_cancelled_client_leaves_its_batch_mates_served() -> None:
    counts, lane = Counts(), Lane()
    async with batcher(counts) as running:
        first = await blocked(running, lane)
        gone, mate = (asyncio.create_task(running.submit(lane, [row(n)], 5)) for n in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        lane.gate.set()
        assert firsts((await mate).rows) == [2]
        await first
    assert lane.batches == [[3], [3]], "the cancelled row cost a batch"
    assert counts.drops == [("cancelled", 1)]


async def test_a_client_cancelled_while_its_batch_runs_leaves_its_mates_served() -> None:
    lane = Lane()
    async with batcher() as running:
        first = await blocked(running, lane)
        lane.started.clear()
        gone, mate = (asyncio.create_task(running.submit(lane, [row(n)], 5)) for n in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        gone.cancel()
        lane.gate.set()
        assert firsts((await mate).rows) == [2]
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(first, gone, return_exceptions=True)
        )


async def test_a_full_queue_refuses_at_once() -> None:
    lane = Lane()
    async with batcher(max_queue_tokens=10) as running:
        first = await blocked(running, lane)
        second = asyncio.create_task(running.submit(lane, [row(1, 8)], 5))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await running.submit(lane, [row(2, 8)], 5)
        lane.gate.set()
        await asyncio.gather(first, second)


async def test_every_future_is_resolved_when_the_session_raises() -> None:
    lane = Lane(poison=7)
    async with batcher() as running:
        first = await blocked(running, lane)
        work = [asyncio.create_task(running.submit(lane, [row(7)], 5)) for _ in range(4)]
        await asyncio.sleep(0)
        lane.gate.set()
        ends = await asyncio.gather(first, *work, return_exceptions=True)
    assert [type(end) for end in ends[1:]] == [InferenceFailed] * 4
    assert all("poisoned" in repr(end.__cause__) for end in ends[1:] if isinstance(end, BaseException))


async def test_one_poisoned_row_fails_alone() -> None:
    lane = Lane(poison=7)
    async with batcher() as running:
        first = await blocked(running, lane)
        work = [asyncio.create_task(running.submit(lane, [row(n)], 5)) for n in (1, 7, 2)]
        await asyncio.sleep(0)
        lane.gate.set()
        await first
        good, bad, fine = await asyncio.gather(*work, return_exceptions=True)
    assert isinstance(bad, InferenceFailed)
    assert [firsts(end.rows) for end in (good, fine) if not isinstance(end, BaseException)] == [[1], [2]]


async def test_a_lane_that_answers_too_few_rows_is_an_error_and_not_a_mix_up() -> None:
    class Short(Lane):
        def run(self, rows: Sequence[Ids]) -> list[Answer]:
            return super().run(rows)[1:]

    async with batcher() as running:
        with pytest.raises(InferenceFailed, match="0 answers to 1 rows"):
            await running.submit(Short.opened(), [row(1)], 5)


async def test_a_deadline_passed_in_the_queue_costs_no_compute() -> None:
    counts, lane = Counts(), Lane()
    async with batcher(counts) as running:
        first = await blocked(running, lane)
        with pytest.raises(DeadlineExceeded):
            await running.submit(lane, [row(1), row(2)], 0.01)
        lane.gate.set()
        await first
    assert lane.batches == [[3]]
    assert counts.drops == [("expired", 2)]
    assert counts.depth == (0, 0)


async def test_a_lane_that_hangs_does_not_hang_its_caller() -> None:
    lane = Lane()
    async with batcher() as running:
        with pytest.raises(DeadlineExceeded):
            await running.submit(lane, [row(1)], 0.05)
        lane.gate.set()


async def test_closing_fails_what_waits_and_takes_no_more() -> None:
    lane = Lane()
    async with batcher() as running:
        first = await blocked(running, lane)
        waiting = asyncio.create_task(running.submit(lane, [row(1)], 5))
        await asyncio.sleep(0)
        threading.Timer(0.05, lane.gate.set).start()
        await asyncio.to_thread(lambda: None)
        running.close()
        with pytest.raises(Draining):
            await waiting
        with pytest.raises(Draining):
            await running.submit(lane, [row(2)], 5)
        assert firsts((await first).rows) == [99], "a batch that runs is finished"


async def test_a_batch_wakes_the_event_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, lane = Counts(), Lane()
    wakes = 0
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def counting(*arguments: Any, **more: Any) -> Any:
        nonlocal wakes
        wakes += threading.current_thread().name.startswith("infer-")
        return wake(*arguments, **more)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
    async with batcher(counts) as running:
        first = await blocked(running, lane)
        work = [asyncio.create_task(running.submit(lane, [row(n)], 5)) for n in range(8)]
        await asyncio.sleep(0)
        lane.gate.set()
        await asyncio.gather(first, *work)
        assert [batch.rows for batch in counts.batches] == [1, 8]
    assert wakes == 2


async def test_cells_and_tokens_tell_the_padding() -> None:
    counts, lane = Counts(), Lane()
    async with batcher(counts) as running:
        first = await blocked(running, lane)
        work = asyncio.create_task(running.submit(lane, [row(1, 4), row(2, 6)], 5))
        await asyncio.sleep(0)
        lane.gate.set()
        await asyncio.gather(first, work)
    assert [(batch.tokens, batch.cells) for batch in counts.batches] == [(3, 3), (10, 12)]


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.booleans(), st.integers(0, 2)),
        min_size=1,
        max_size=25,
    )
)
def test_nothing_is_lost_and_nothing_answered_twice(arrivals: list[tuple[list[int], bool, int]]) -> None:
    async def scenario() -> None:
        lanes = [Lane.opened(), Lane.opened(poison=3), Lane.opened()]
        async with batcher(threads=2, max_queue_tokens=100_000) as running:
            tasks = []
            for lengths, cancelled, lane in arrivals:
                rows = [row(at, length) for at, length in enumerate(lengths)]
                task = asyncio.create_task(running.submit(lanes[lane], rows, 10))
                tasks.append(task)
                await asyncio.sleep(0)
                if cancelled:
                    task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for (lengths, cancelled, lane), end in zip(arrivals, ends, strict=True):
            if isinstance(end, asyncio.CancelledError):
                assert cancelled
            elif isinstance(end, InferenceFailed):
                assert lane == 1
                assert len(lengths) > 3
            else:
                assert not isinstance(end, BaseException)
                assert firsts(end.rows) == list(range(len(lengths)))

    asyncio.run(scenario())


async def test_a_ticket_is_answered_without_anyone_waiting_for_it_and_given_back_takes_its_rows_along() -> None:
    lane, counts = Lane(), Counts()
    async with batcher(counts) as running:
        first = await blocked(running, lane)
        kept, withdrawn = (running.enqueue(lane, [row(at), row(at, 5)], 5) for at in (1, 2))
        running.withdraw(withdrawn)
        assert counts.depth == (2, 8)
        lane.gate.set()
        assert firsts((await kept.future).rows) == [1, 1]
        running.withdraw(kept)
        await first
    assert counts.drops == [("cancelled", 2)]
    assert not withdrawn.future.done()


@dataclass
class Stopped:
    """A clock that a test moves, and the watchdog that reads it."""

    now: float = 0.0

    def __post_init__(self) -> None:
        self.watchdog = Watchdog(1.0, clock=lambda: self.now)

    def let_hang(self) -> None:
        """Let so much time pass that whatever runs now is given up."""
        for _ in range(20):
            self.now += 0.1
            self.watchdog.tick()


@dataclass(eq=False)
class Hanging(Lane):
    """Hangs on the rows of a trap, until the test ends."""

    traps: tuple[int, ...] = ()
    trapped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    freed: threading.Event = field(default_factory=threading.Event)

    def run(self, rows: Sequence[Ids]) -> list[Answer]:
        if any(row[0] in self.traps for row in rows):
            self.trapped.release()
            self.freed.wait(60)
        return super().run(rows)


async def trapped(lane: Hanging) -> None:
    assert await asyncio.to_thread(lane.trapped.acquire, timeout=30)


async def test_a_row_that_hangs_fails_alone_and_its_session_is_renewed() -> None:
    time, lane = Stopped(), Hanging.opened(traps=(7,))
    async with batcher(watchdog=time.watchdog) as running:
        work = [asyncio.create_task(running.submit(lane, [row(n)], 60)) for n in (1, 7, 2)]
        for _ in range(2):  # with its neighbours, and alone
            await trapped(lane)
            time.let_hang()
        good, bad, fine = await asyncio.gather(*work, return_exceptions=True)
        later = await running.submit(lane, [row(3)], 60)
        lane.freed.set()
    assert isinstance(bad, InferenceHung)
    assert [firsts(end.rows) for end in (good, fine) if not isinstance(end, BaseException)] == [[1], [2]]
    assert (firsts(later.rows), lane.renewals) == ([3], 2)


async def test_where_every_row_hangs_they_fail_after_the_second_alone() -> None:
    time, lane = Stopped(), Hanging.opened(traps=(1, 2, 3, 4, 5))
    async with batcher(watchdog=time.watchdog) as running:
        work = [asyncio.create_task(running.submit(lane, [row(n)], 60)) for n in lane.traps]
        for _ in range(3):
            await trapped(lane)
            time.let_hang()
        ends = await asyncio.gather(*work, return_exceptions=True)
        assert all(isinstance(end, InferenceHung) for end in ends)
        assert firsts((await running.submit(lane, [row(9)], 60)).rows) == [9]
        lane.freed.set()


async def test_a_run_that_comes_back_late_answers_nobody_twice() -> None:
    counts, time, lane = Counts(), Stopped(), Hanging.opened(traps=(7,))
    async with batcher(counts, watchdog=time.watchdog) as running:
        hanging = asyncio.create_task(running.submit(lane, [row(7)], 60))
        await trapped(lane)
        time.let_hang()
        with pytest.raises(InferenceHung):
            await hanging
        lane.freed.set()
        assert firsts((await running.submit(lane, [row(1)], 60)).rows) == [1]
    assert [batch.rows for batch in counts.batches] == [1]


async def test_a_batch_that_fails_runs_again_in_halves() -> None:
    lane = Lane(poison=7)
    async with batcher() as running:
        first = await blocked(running, lane)
        work = [asyncio.create_task(running.submit(lane, [row(n)], 5)) for n in (1, 2, 3, 7, 4, 5, 6, 8)]
        await asyncio.sleep(0)
        lane.gate.set()
        await first
        ends = await asyncio.gather(*work, return_exceptions=True)
    assert [at for at, end in enumerate(ends) if isinstance(end, InferenceFailed)] == [3]
    assert [len(batch) for batch in lane.batches[1:]] == [8, 4, 2, 2, 1, 1, 4]


@dataclass(eq=False)
class Placed(Lane):
    """Notes which thread ran it."""

    threads: list[int] = field(default_factory=list)

    def run(self, rows: Sequence[Ids]) -> list[Answer]:
        self.threads.append(threading.get_ident())
        return super().run(rows)


async def counted() -> None:
    """Let the event loop make the turns after which a row that ran alone is counted, since its answer is sent first."""
    for _ in range(3):
        await asyncio.sleep(0)


async def trusted(running: Batcher, lane: Lane, counts: Counts) -> int:
    """Ask for rows of the length 3 until one has run on the event loop's thread; return how many runs that took."""
    while not any(batch.inline for batch in counts.batches):
        await running.submit(lane, [row(1)], 5)
        await counted()
    return len(counts.batches)


@pytest.mark.parametrize("threads", [1, 2])
async def test_what_is_brief_runs_on_the_event_loop_several_rows_only_where_there_is_one_thread(threads: int) -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, threads, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        assert firsts((await running.submit(lane, [row(3)], 5)).rows) == [3]
        alone = len(lane.threads)
        await asyncio.gather(*(running.submit(lane, [row(n)], 5) for n in (4, 5)))
        together = len(lane.threads)
        await running.submit(lane, [row(6, length=4)], 5)
    here = threading.get_ident()
    assert not any(thread == here for thread in lane.threads[: runs - 1])
    assert runs > 3, "a width has to be known"
    assert {thread == here for thread in lane.threads[runs - 1 : alone]} == {True}
    assert {thread == here for thread in lane.threads[alone:together]} == {threads == 1}
    assert [thread == here for thread in lane.threads[together:]] == [False], "a width that is not known"
    assert [batch.inline for batch in counts.batches] == [thread == here for thread in lane.threads]
    assert counts.depth == (0, 0)


async def test_the_event_loop_goes_on_between_the_batches_that_it_runs() -> None:
    counts, lane, turns = Counts(), Placed.opened(), list[int]()

    def count() -> None:
        turns.append(len(lane.threads))
        asyncio.get_running_loop().call_soon(count)

    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        for _ in range(3):
            await running.submit(lane, [row(1, length=30)], 5)
        known = len(counts.batches)
        work = [asyncio.create_task(running.submit(lane, [row(n, 3 + 27 * (n % 2))], 5)) for n in range(8)]
        count()
        answers = await asyncio.gather(*work)
    assert [firsts(each.rows) for each in answers] == [[n] for n in range(8)]
    assert (known - runs, [batch.rows for batch in counts.batches[known:]]) == (3, [4, 4])
    assert set(lane.threads[known:]) == {threading.get_ident()}
    assert known + 1 in turns, "there was a turn between the two"


async def test_of_a_batch_that_fails_on_the_event_loop_only_the_bad_row_fails() -> None:
    counts, lane = Counts(), Placed.opened(poison=7)
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        ends = await asyncio.gather(*(running.submit(lane, [row(n)], 5) for n in (5, 6, 7, 8)), return_exceptions=True)
    assert isinstance(ends[2], InferenceFailed)
    assert [firsts(end.rows) for end in ends if not isinstance(end, BaseException)] == [[5], [6], [8]]
    assert lane.threads[runs] == threading.get_ident()
    assert threading.get_ident() not in lane.threads[-2:], "the bad row's part, and the bad row"


async def test_a_row_that_comes_alone_is_counted_as_any_other() -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        assert firsts((await running.submit(lane, [row(3)], 5)).rows) == [3]
    assert (len(counts.batches), counts.batches[-1].inline, counts.batches[-1].rows) == (runs + 1, True, 1)
    assert len(counts.waits_seen) == runs + 1
    assert counts.drops == []


async def test_whoever_asks_alone_is_answered_before_the_run_is_counted() -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        await running.submit(lane, [row(3)], 5)
        assert len(counts.batches) == runs
        await counted()
        assert len(counts.batches) == runs + 1


async def test_a_row_that_came_alone_runs_together_with_those_that_come_in_the_same_turn() -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        tickets = [running.enqueue(lane, [row(n)], 5) for n in (4, 5, 6)]
        answers = [await ticket.future for ticket in tickets]
        for ticket in tickets:
            running.withdraw(ticket)
    assert [firsts(each.rows) for each in answers] == [[4], [5], [6]]
    assert [batch.rows for batch in counts.batches[runs:]] == [3]


async def test_a_row_that_came_alone_and_may_not_run_on_the_event_loop_joins_the_queue() -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, inline=Inline(60)) as running:
        await trusted(running, lane, counts)
        answers = await running.submit(lane, [row(6, length=7)], 5)
    assert firsts(answers.rows) == [6]
    assert lane.threads[-1] != threading.get_ident()
    assert counts.depth == (0, 0)


async def test_a_row_that_came_alone_and_is_not_wanted_any_more_never_runs() -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        ticket = running.enqueue(lane, [row(3)], 5)
        ticket.future.cancel()
        running.withdraw(ticket)
        assert firsts((await running.submit(lane, [row(4)], 5)).rows) == [4]
    assert counts.drops == [("cancelled", 1)]
    assert len(lane.threads) == runs + 1


async def test_a_row_that_came_alone_too_late_fails_by_its_deadline() -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        with pytest.raises(DeadlineExceeded):
            await running.submit(lane, [row(3)], 0)
    assert len(lane.threads) == runs


async def test_closing_fails_a_row_that_has_not_joined_the_queue_yet() -> None:
    counts, lane = Counts(), Placed.opened()
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        ticket = running.enqueue(lane, [row(3)], 5)
        running.close()
        with pytest.raises(Draining):
            await ticket.future
        running.withdraw(ticket)
    assert len(lane.threads) == runs


async def test_a_row_that_comes_alone_while_a_thread_runs_waits_for_a_thread() -> None:
    counts, busy, lane = Counts(), Lane(), Placed.opened()
    async with batcher(counts, threads=2, inline=Inline(60)) as running:
        await trusted(running, lane, counts)
        first = await blocked(running, busy)
        await running.submit(lane, [row(3)], 5)
        busy.gate.set()
        await first
    assert lane.threads[-1] != threading.get_ident()


async def test_a_row_that_fails_on_the_event_loop_fails_alone() -> None:
    counts, lane = Counts(), Placed.opened(poison=7)
    async with batcher(counts, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        with pytest.raises(InferenceFailed) as failed:
            await running.submit(lane, [row(7)], 5)
        assert "poisoned" in repr(failed.value.__cause__)
        assert firsts((await running.submit(lane, [row(8)], 5)).rows) == [8]
    assert [batch.inline for batch in counts.batches[runs:]] == [True]
    assert lane.threads[runs:] == [threading.get_ident()] * 2


async def test_of_a_batch_that_hangs_on_the_event_loop_only_the_row_that_hangs_fails() -> None:
    class Interrupted(Hanging):
        def interrupt(self) -> None:
            super().interrupt()
            self.freed.set()

        def renew(self) -> None:
            super().renew()
            self.freed.set()

        def run(self, rows: Sequence[Ids]) -> list[Answer]:
            if any(row[0] in self.traps for row in rows):
                self.freed.clear()
            return super().run(rows)

    watchdog, lane = Watchdog(0.2), Interrupted.opened(traps=(7,))
    watchdog.start()
    counts = Counts()
    async with batcher(counts, watchdog=watchdog, inline=Inline(60)) as running:
        await trusted(running, lane, counts)
        work = (running.submit(lane, [row(n)], 60) for n in (6, 7, 8))
        ends = await asyncio.gather(*work, return_exceptions=True)
    watchdog.close()
    assert isinstance(ends[1], InferenceHung)
    assert [firsts(end.rows) for end in ends if not isinstance(end, BaseException)] == [[6], [8]]
    assert (lane.interrupts, lane.renewals) == (1, 1)


async def test_a_row_that_hangs_on_the_event_loop_fails_and_later_ones_run_on_the_threads() -> None:
    class Interrupted(Hanging):
        def interrupt(self) -> None:
            super().interrupt()
            self.freed.set()

    watchdog, lane = Watchdog(0.2), Interrupted.opened(traps=(7,))
    watchdog.start()
    counts = Counts()
    async with batcher(counts, watchdog=watchdog, inline=Inline(60)) as running:
        runs = await trusted(running, lane, counts)
        with pytest.raises(InferenceHung):
            await running.submit(lane, [row(7)], 60)
        assert firsts((await running.submit(lane, [row(8)], 60)).rows) == [8]
    watchdog.close()
    assert (lane.interrupts, lane.renewals) == (1, 0)
    assert [batch.inline for batch in counts.batches[runs:]] == [False]


async def test_where_overload_begins_what_would_wait_too_long_hears_so_at_once() -> None:
    counts, lane = Counts(), Slow.opened()
    async with batcher(counts, patience=Patience(max_wait_s=60.0, overload_wait_s=0.05)) as running:
        for at in range(10):
            await running.submit(lane, [row(at)], 5)
        lane.gate.clear()
        lane.started.clear()
        first = await blocked(running, lane)
        tickets: list[Ticket] = []
        with suppress(WaitTooLong):  # from then on the narrow bound holds
            tickets.extend(running.enqueue(lane, [row(at)], 10) for at in range(300))
        lane.gate.set()
        outcomes = await asyncio.gather(*(each.future for each in tickets), return_exceptions=True)
        for each in tickets:
            running.withdraw(each)
        await first
    shed = [at for at, each in enumerate(outcomes) if isinstance(each, WaitTooLong)]
    assert 0 < len(shed) < len(tickets)
    assert shed == list(range(shed[0], shed[0] + len(shed))), "those that had come last"
    assert ("shed", len(shed)) in counts.drops


async def test_that_nobody_is_refused_holds_for_a_moment_but_no_longer_than_the_queue_is_short() -> None:
    lane, stands_still = Slow.opened(), list[float]()
    patience = Patience(max_wait_s=0.05, overload_wait_s=0.05)
    async with batcher(
        patience=patience, clock=lambda: stands_still[0] if stands_still else time.monotonic()
    ) as running:
        for at in range(10):
            await running.submit(lane, [row(at)], 5)
        lane.gate.clear()
        lane.started.clear()
        first = await blocked(running, lane)
        stands_still.append(time.monotonic())
        running.refuse_unless_soon(10)
        tickets: list[Ticket] = []
        with pytest.raises(WaitTooLong):
            tickets.extend(running.enqueue(lane, [row(at)], 10) for at in range(300))
        with pytest.raises(WaitTooLong):
            running.refuse_unless_soon(10)
        lane.gate.set()
        for each in tickets:
            running.withdraw(each)
        await first


async def test_a_refusal_holds_for_a_moment_and_for_nobody_who_is_in_more_of_a_hurry() -> None:
    counts, lane = Counts(), Slow.opened()
    async with batcher(counts, patience=Patience(max_wait_s=0.05, overload_wait_s=0.05)) as running:
        for at in range(10):
            await running.submit(lane, [row(at)], 5)
        lane.gate.clear()
        lane.started.clear()
        first = await blocked(running, lane)
        tickets: list[Ticket] = []
        with pytest.raises(WaitTooLong):
            tickets.extend(running.enqueue(lane, [row(at)], 10) for at in range(300))
        for _ in range(3):
            with pytest.raises(WaitTooLong, match="expected at most the"):
                running.refuse_unless_soon(10)
        running.refuse_unless_soon(0.5)  # it would go before all that waits
        running.refuse_unless_soon(10, "batch")
        lane.gate.set()
        await asyncio.gather(*(each.future for each in tickets))
        for each in tickets:
            running.withdraw(each)
        await first
        running.refuse_unless_soon(10)
