"""The decoder: whatever happens to a neighbour, every caller gets the summary of its own text, or hears why not."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import DeadlineExceeded, Draining, InferenceFailed, InferenceHung, QueueFull, WaitTooLong
from app.modelpack.signs import Signs
from app.modelpack.store import open_package
from app.runtime.providers import choose
from app.runtime.roster import Draft, Roster, Writer
from app.runtime.summarizer import Summarizer
from app.scheduling.cost import Costs, StepCost
from app.scheduling.crew import Crew, Stepped, Turn
from app.scheduling.decoder import Decoder
from app.scheduling.orders import Order, Written
from app.scheduling.slots import Room
from app.scheduling.watchdog import Watchdog
from app.tasks.generate import Options, Summary, Token
from app.tasks.numerals import Numerals
from app.tasks.searches import Searches, generate
from tests.packages import SUMMARIES
from tests.parrot import parrot
from tests.scribe import FIRST, Scribe
from tests.waiting import until

POISON, UNREADABLE = 22, 21
ALWAYS = 1e-9
"""A bound so near that nothing is decided within it."""


@dataclass
class Counts:
    """An observer that remembers."""

    reads: list[int] = field(default_factory=list)
    steps: list[Stepped] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    drops: list[tuple[str, int]] = field(default_factory=list)
    waits: tuple[int, int] = (0, 0)
    held: tuple[int, int] = (0, 0)

    def encoded(self, _writer: Writer, tokens: int, _seconds: float, queued_s: float) -> None:
        assert queued_s >= 0
        self.reads.append(tokens)

    def stepped(self, step: Stepped) -> None:
        self.steps.append(step)

    def finished(self, _writer: Writer, summary: Summary) -> None:
        self.reasons.append(summary.reason)

    def dropped(self, reason: str, rows: int) -> None:
        self.drops.append((reason, rows))

    def queue(self, rows: int, tokens: int) -> None:
        self.waits = rows, tokens

    def slots(self, rows: int, cells: int) -> None:
        self.held = rows, cells


@asynccontextmanager
async def decoder(  # noqa: PLR0917 - a fixture
    counts: Counts | None = None,
    threads: int = 1,
    room: Room = Room(8, 1_000),  # noqa: B008 - frozen
    max_queue_tokens: int = 10_000,
    cost: StepCost = StepCost(1.0, 0.1, 0.001),  # noqa: B008 - frozen
    watchdog: Watchdog | None = None,
) -> AsyncIterator[Decoder]:
    made = Decoder(
        threads=threads,
        room=room,
        max_queue_tokens=max_queue_tokens,
        observer=counts or Counts(),
        costs=Costs(lambda *_: cost),
        watchdog=watchdog,
    )
    made.start()
    try:
        yield made
    finally:
        await asyncio.to_thread(made.close)


def draft(seed: int, length: int = 0) -> Draft:
    numbers = np.random.default_rng(seed)
    return Draft(numbers.integers(FIRST, UNREADABLE, length or numbers.integers(1, 60)), "headline")


def order(seed: int, length: int = 0, beams: int = 1, max_tokens: int = 12, **more: Any) -> Order:
    return Order(draft(seed, length), Options(max_tokens, beams=beams, **more))


def counting(one: Order) -> Order:
    """Return the same where most words are pieces of numerals, to be written as they stand in the text."""
    pieces = [*["</s>"] * FIRST, *["▁1", "2", "the", ".", "3", "%"] * 4][: Scribe().vocabulary]
    return replace(one, numerals=Numerals(one.draft.ids, Signs.of(pieces)))


def bad(token: int) -> Order:
    return Order(Draft(np.array([5, token]), "headline"), Options(12))


def alone(writer: Writer, one: Order) -> Summary:
    """Return the summary of a text that nothing else is stepped with."""
    roster = Roster(writer, one.options.beams, one.options.candidates)
    searches = Searches(roster, one.options.beams, writer.bos_id, writer.eos_id)
    return next(generate(searches, [(one.draft, one.options, one.numerals)], rows=1))[1]


def same(found: Summary, wanted: Summary) -> None:
    assert [(token.id, token.source) for token in found.tokens] == [(token.id, token.source) for token in wanted.tokens]
    assert found.reason == wanted.reason
    assert found.score == pytest.approx(wanted.score, abs=1e-5)


def endless(**more: Any) -> Scribe:
    """Return a scribe that never ends a summary by itself."""
    return Scribe(eos_bias=-1e9, **more)


async def held(running: Decoder, scribe: Scribe, *orders: Order) -> "list[asyncio.Task[Written]]":
    """Submit each order as its own job, and wait until the first step of some of them stands at the gate."""
    scribe.gate.clear()
    scribe.stepping.clear()
    tasks = [asyncio.create_task(running.submit(scribe, [one], 10)) for one in orders]
    await asyncio.to_thread(scribe.stepping.wait, 5)
    return tasks


MIXED = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 1.0]), st.integers(0, 3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(arrivals=MIXED, threads=st.integers(1, 2), seed=st.integers(0, 5), fixed_s=st.sampled_from([0.0, 0.01, 10.0]))
def test_the_same_text_gets_the_same_summary_alone_in_company_and_joined_late(
    arrivals: list[tuple[int, int, float, int]], threads: int, seed: int, fixed_s: float
) -> None:
    scribe = Scribe(seed=seed)
    orders = [
        order(text, beams=beams, length_penalty=penalty, coverage_penalty=penalty / 10, block_ngram=3, min_tokens=turns)
        for text, beams, penalty, turns in arrivals
    ]
    orders = [counting(one) if at % 2 else one for at, one in enumerate(orders)]

    async def scenario() -> list[Written]:
        async with decoder(threads=threads, cost=StepCost(fixed_s, 0.1, 0.001)) as running:
            tasks = []
            for one, (_, _, _, turns) in zip(orders, arrivals, strict=True):
                for _ in range(turns):
                    await asyncio.sleep(0.0005)  # so that it joins others midway
                tasks.append(asyncio.create_task(running.submit(scribe, [one], 20)))
            return await asyncio.gather(*tasks)

    for one, written in zip(orders, asyncio.run(scenario()), strict=True):
        same(written.summaries[0], alone(scribe, one))


@pytest.fixture(scope="module", params=["parrot", "tiny"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Summarizer:
    """Return a package of ONNX graphs that writes: one by rule, and one that was trained."""
    folder = parrot(tmp_path_factory.mktemp("packages")) if request.param == "parrot" else SUMMARIES
    return Summarizer.open(open_package(folder), choose("cpu"))


async def test_a_package_writes_the_same_alone_in_company_and_joined_late(package: Summarizer) -> None:
    orders = [order(seed, beams=1 + seed % 3, block_ngram=3, min_tokens=seed % 4) for seed in range(24)]
    async with decoder(threads=2, room=Room(12, 2_000), cost=StepCost(0.01, 0.01, 0.0001)) as running:
        tasks = []
        for one in orders:
            tasks.append(asyncio.create_task(running.submit(package, [one], 20)))
            await asyncio.sleep(0.001)
        found = await asyncio.gather(*tasks)
    for one, written in zip(orders, found, strict=True):
        same(written.summaries[0], alone(package, one))


async def test_summaries_come_in_the_order_of_the_texts() -> None:
    scribe, orders = Scribe(), [order(seed) for seed in range(20)]
    async with decoder(threads=2) as running:
        written = await running.submit(scribe, orders, 10)
    for found, one in zip(written.summaries, orders, strict=True):
        same(found, alone(scribe, one))
    assert written.submitted <= written.started <= written.first_token <= written.ended


async def test_a_row_joins_while_others_are_being_written_and_they_step_together() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts) as running:
        (early,) = await held(running, scribe, order(1, 10, max_tokens=30))
        late = asyncio.create_task(running.submit(scribe, [order(2, 12, max_tokens=5)], 10))
        await asyncio.sleep(0)
        scribe.gate.set()
        await asyncio.gather(early, late)
    assert [step.rows for step in counts.steps] == [1, *[2] * 5, *[1] * 24]


async def test_a_row_that_is_done_leaves_its_slot_to_one_that_waits() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts, room=Room(2, 1_000)) as running:
        jobs = [running.submit(scribe, [order(at, 9, max_tokens=n)], 10) for at, n in enumerate((20, 3, 4, 5))]
        await asyncio.gather(*jobs)
    rows = [step.rows for step in counts.steps]
    assert rows == [1, *[2] * 12, *[1] * 7], "a slot stood empty while rows waited"


async def test_rows_of_very_unlike_length_step_apart() -> None:
    counts, scribe = Counts(), Scribe()
    async with decoder(counts, cost=StepCost(0.01, 0.01, 0.01)) as running:
        await asyncio.gather(*(running.submit(scribe, [order(n, n)], 10) for n in (5, 160, 7, 150)))
    assert all(step.cells <= 1.6 * step.tokens or step.cells <= 16 * step.rows for step in counts.steps)


async def test_a_long_text_is_not_starved_by_short_ones() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts, room=Room(8, 200)) as running:
        short = [asyncio.create_task(running.submit(scribe, [order(n, 20)], 20)) for n in range(12)]
        long = asyncio.create_task(running.submit(scribe, [order(99, 190)], 20))
        after = [asyncio.create_task(running.submit(scribe, [order(n, 20)], 20)) for n in range(12)]
        await asyncio.gather(long, *short, *after)
    assert counts.reads.index(190) == 12


async def test_a_cancelled_caller_frees_its_slot_at_the_next_step() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts) as running:
        gone, mate = await held(running, scribe, order(1, 9, max_tokens=5_000), order(2, 9, max_tokens=40))
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        scribe.gate.set()
        same((await mate).summaries[0], alone(scribe, order(2, 9, max_tokens=40)))
        await until(lambda: counts.held == (0, 0))
    assert ("cancelled", 1) in counts.drops
    assert len(counts.steps) <= 42


async def test_a_caller_cancelled_while_waiting_is_never_read() -> None:
    counts, scribe = Counts(), Scribe()
    async with decoder(counts, room=Room(1, 1_000)) as running:
        (first,) = await held(running, scribe, order(1, 9))
        gone = asyncio.create_task(running.submit(scribe, [order(2, 33)], 10))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        scribe.gate.set()
        await first
    assert counts.reads == [9]
    assert counts.drops == [("cancelled", 1)]


async def test_at_its_deadline_a_text_gets_what_was_decided() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts) as running:
        written = await running.submit(scribe, [order(1, 9, max_tokens=10**6)], 0.1)
        await until(lambda: counts.held == (0, 0))
    (summary,) = written.summaries
    assert summary.reason == "deadline"
    assert counts.reasons == ["deadline"]
    assert summary.tokens == alone(scribe, order(1, 9, max_tokens=len(summary.tokens))).tokens


async def test_what_waits_refuses_at_once_whom_it_would_make_late() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts, room=Room(1, 1_000)) as running:
        await running.submit(scribe, [order(1, 9)], 60)  # what a step takes is known by now
        (writing,) = await held(running, scribe, order(2, 9))
        waiting = asyncio.create_task(running.submit(scribe, [order(3, 11, max_tokens=10**9, min_tokens=10**9)], 3600))
        await until(lambda: counts.waits == (1, 11))
        with pytest.raises(WaitTooLong, match="that this request may take") as refused:
            await running.submit(scribe, [order(4, 9)], 60)
        assert (refused.value.retry_after_s or 0) > 60
        assert counts.waits == (1, 11)
        waiting.cancel()
        scribe.gate.set()
        await writing


async def test_where_nothing_was_decided_by_the_deadline_it_is_an_error() -> None:
    counts, scribe = Counts(), Scribe()
    async with decoder(counts, room=Room(1, 1_000)) as running:
        (first,) = await held(running, scribe, order(1, 9))
        with pytest.raises(DeadlineExceeded):
            await running.submit(scribe, [order(2, 9), order(3, 9)], 0.02)
        assert counts.drops == [("expired", 2)]
        assert counts.waits == (0, 0)
        scribe.gate.set()
        await first
    assert counts.reads == [9]


async def test_a_step_that_hangs_does_not_hang_its_caller() -> None:
    scribe = Scribe()
    async with decoder() as running:
        scribe.gate.clear()
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await running.submit(scribe, [order(1)], 0.05)
        assert time.monotonic() - started < 3
        scribe.gate.set()


async def test_a_failing_step_fails_its_own_rows_only() -> None:
    counts, scribe = Counts(), Scribe(poison=POISON)
    async with decoder(counts) as running:
        tasks = await held(running, scribe, order(1, 9), bad(POISON), order(2, 9), order(3, 9))
        scribe.gate.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: counts.held == (0, 0))
    assert isinstance(ends[1], InferenceFailed)
    assert "poisoned" in repr(ends[1].__cause__)
    for at, seed in ((0, 1), (2, 2), (3, 3)):
        end = ends[at]
        assert isinstance(end, Written)
        same(end.summaries[0], alone(scribe, order(seed, 9)))


async def test_a_text_that_cannot_be_read_fails_alone() -> None:
    scribe = Scribe(unreadable=UNREADABLE)
    async with decoder() as running:
        broken, fine = await asyncio.gather(
            running.submit(scribe, [bad(UNREADABLE)], 5), running.submit(scribe, [order(1)], 5), return_exceptions=True
        )
    assert isinstance(broken, InferenceFailed)
    assert isinstance(fine, Written)


async def test_a_job_with_a_failed_text_gives_up_its_other_slots() -> None:
    counts, scribe = Counts(), endless(poison=POISON)
    async with decoder(counts, room=Room(2, 1_000)) as running:
        with pytest.raises(InferenceFailed):
            await running.submit(scribe, [order(1, 9, max_tokens=10**6), bad(POISON), order(2, 9)], 10)
        await until(lambda: counts.held == (0, 0))
    assert counts.drops == []


async def test_what_is_not_a_number_fails_its_own_text_only() -> None:
    class Blurred(Scribe):
        def step(self, feeds: Any) -> Any:
            found = super().step(feeds)
            found[1][(feeds["ids"] == POISON).any(1)] = np.nan
            return found

    scribe = Blurred()
    async with decoder() as running:
        tasks = await held(running, scribe, bad(POISON), order(1, 9))
        scribe.gate.set()
        broken, fine = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(broken, InferenceFailed)
    assert isinstance(fine, Written)


async def test_a_bug_in_a_turn_fails_its_rows_and_leaves_the_thread_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, scribe, sweep = Counts(), Scribe(), Crew.sweep

    def broken(crew: Crew, turn: Turn) -> None:
        sweep(crew, turn)
        if crew.rows:
            raise ZeroDivisionError

    async with decoder(counts) as running:
        monkeypatch.setattr(Crew, "sweep", broken)
        with pytest.raises(InferenceFailed):
            await running.submit(scribe, [order(1, 9)], 5)
        monkeypatch.undo()
        assert isinstance(await running.submit(scribe, [order(2, 9)], 5), Written)
        await until(lambda: counts.held == (0, 0))


async def test_a_full_queue_refuses_at_once() -> None:
    scribe = Scribe()
    async with decoder(room=Room(1, 1_000), max_queue_tokens=10) as running:
        (first,) = await held(running, scribe, order(1, 9))
        second = asyncio.create_task(running.submit(scribe, [order(2, 8)], 5))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await running.submit(scribe, [order(3, 8)], 5)
        scribe.gate.set()
        await asyncio.gather(first, second)


async def test_where_the_queue_is_full_no_forecast_is_asked() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts, room=Room(1, 1_000), max_queue_tokens=15) as running:
        await running.submit(scribe, [order(1, 9)], 60)  # what a step takes is known by now
        (writing,) = await held(running, scribe, order(2, 9))
        waiting = asyncio.create_task(running.submit(scribe, [order(3, 11, max_tokens=10**9, min_tokens=10**9)], 3600))
        await until(lambda: counts.waits == (1, 11))
        with pytest.raises(QueueFull, match="expected at most 15 in all"):
            await running.submit(scribe, [order(4, 9)], 60)
        waiting.cancel()
        scribe.gate.set()
        await writing


async def test_tokens_are_streamed_as_they_are_decided() -> None:
    scribe, one = Scribe(), order(7, 30, max_tokens=12)
    wanted = alone(scribe, one)
    async with decoder() as running:
        other = asyncio.create_task(running.submit(scribe, [order(8, 30)], 5))
        found = [each async for each in running.stream(scribe, one, 5)]
        await other
    *tokens, summary = found
    assert isinstance(summary, Summary)
    same(summary, wanted)
    assert tokens == summary.tokens


async def test_a_token_is_told_before_the_next_is_decided() -> None:
    scribe = endless()
    async with decoder() as running, aclosing(running.stream(scribe, order(7, 30), 5)) as stream:
        scribe.gate.clear()
        seen = asyncio.ensure_future(anext(stream))
        await asyncio.to_thread(scribe.stepping.wait, 5)
        assert not seen.done()
        scribe.gate.set()
        scribe.gate = threading.Event()  # the second step waits at another
        token = await asyncio.wait_for(seen, 5)
        assert isinstance(token, Token)
        assert len(scribe.steps) <= 2
        scribe.gate.set()


async def test_beams_are_not_streamed_but_their_summary_is() -> None:
    scribe, one = Scribe(), order(7, 30, beams=3)
    async with decoder() as running:
        (summary,) = [each async for each in running.stream(scribe, one, 5)]
    assert isinstance(summary, Summary)
    same(summary, alone(scribe, one))


async def test_a_reader_that_leaves_a_stream_frees_its_slot() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts) as running:
        async with aclosing(running.stream(scribe, order(1, 9, max_tokens=10**6), 10)) as stream:
            assert isinstance(await anext(stream), Token)
        await until(lambda: counts.held == (0, 0))
    assert counts.drops == [("cancelled", 1)]


async def test_a_stream_ends_with_the_error_of_its_text() -> None:
    scribe = Scribe(poison=POISON)
    async with decoder() as running:
        with pytest.raises(InferenceFailed):
            [each async for each in running.stream(scribe, bad(POISON), 5)]


async def test_a_listener_that_raises_fails_its_own_job_only() -> None:
    def deaf(_index: int, _token: Token) -> None:
        raise ZeroDivisionError

    scribe = Scribe()
    async with decoder() as running:
        broken, fine = await asyncio.gather(
            running.submit(scribe, [order(1, 9)], 5, deaf),
            running.submit(scribe, [order(2, 9)], 5),
            return_exceptions=True,
        )
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(fine, Written)


async def test_draining_finishes_what_there_is_and_takes_no_more() -> None:
    scribe = Scribe()
    async with decoder(room=Room(1, 1_000)) as running:
        tasks = await held(running, scribe, order(1, 9), order(2, 9))
        assert not await running.drain(0.01)
        with pytest.raises(Draining):
            await running.submit(scribe, [order(3, 9)], 5)
        scribe.gate.set()
        assert await running.drain(5)
        assert all(isinstance(end, Written) for end in await asyncio.gather(*tasks))
        assert await running.drain(0)


async def test_closing_fails_what_is_being_written_and_what_waits() -> None:
    scribe = endless()
    async with decoder(room=Room(1, 1_000)) as running:
        tasks = await held(running, scribe, order(1, 9, max_tokens=10**6), order(2, 9))
        scribe.gate.set()
        await asyncio.to_thread(running.close)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [Draining, Draining]


async def test_a_job_without_texts_is_a_bug() -> None:
    async with decoder() as running:
        with pytest.raises(ValueError, match="This is a bug"):
            await running.submit(Scribe(), [], 5)


def wakes_counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the threads of the decoder that wake the running event loop, as they do."""
    loop, wakes = asyncio.get_running_loop(), list[str]()
    wake = loop.call_soon_threadsafe

    def counting(*arguments: Any, **more: Any) -> Any:
        name = threading.current_thread().name
        wakes.extend([name] if name.startswith("decode-") else [])
        return wake(*arguments, **more)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counting)
    return wakes


async def test_a_step_wakes_the_event_loop_once_for_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, scribe, wakes = Counts(), endless(), wakes_counted(monkeypatch)
    async with decoder(counts) as running:
        listened: list[int] = []
        jobs = [
            running.submit(scribe, [order(at, 9, max_tokens=6)], 5, lambda index, _: listened.append(index))
            for at in range(4)
        ]
        await asyncio.gather(*jobs)
        assert len(wakes) == len(counts.steps)
    assert len(listened) == 24


async def test_steps_that_nobody_waits_for_do_not_wake_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, scribe, wakes = Counts(), endless(), wakes_counted(monkeypatch)
    async with decoder(counts) as running:
        await running.submit(scribe, [order(1, 9, max_tokens=20)], 5)
    # Once where the text fills a slot, which is shown at once, and once where it ends.
    assert (len(wakes), len(counts.steps)) == (2, 20)


async def test_steps_tell_their_padding_and_how_long_each_row_waited() -> None:
    counts, scribe = Counts(), endless()
    async with decoder(counts) as running:
        tasks = await held(running, scribe, order(1, 9, max_tokens=3), order(2, 20, max_tokens=3))
        scribe.gate.set()
        await asyncio.gather(*tasks)
    both = [step for step in counts.steps if step.rows == 2]
    assert {(step.tokens, step.cells) for step in both} == {(29, 64)}
    assert sum(len(step.first_s) for step in counts.steps) == 2
    assert sum(step.rows - len(step.first_s) for step in counts.steps) == 4
    assert all(seconds >= 0 for step in counts.steps for seconds in (*step.first_s, step.gap_s))


@settings(max_examples=25, deadline=None)
@given(
    arrivals=st.lists(
        st.tuples(
            st.lists(st.integers(0, 500), min_size=1, max_size=4),
            st.sampled_from(["waits", "leaves", "fails", "hurries"]),
            st.integers(1, 3),
        ),
        min_size=1,
        max_size=15,
    ),
    threads=st.integers(1, 2),
)
def test_nothing_is_lost_and_every_slot_is_given_back(arrivals: list[tuple[list[int], str, int]], threads: int) -> None:
    counts, scribe = Counts(), Scribe(poison=POISON)

    async def scenario() -> list[Any]:
        async with decoder(counts, threads=threads, room=Room(5, 300)) as running:
            tasks = []
            for seeds, how, beams in arrivals:
                orders = [order(seed, beams=beams) for seed in seeds] + [bad(POISON)] * (how == "fails")
                timeout_s = ALWAYS if how == "hurries" else 20
                tasks.append(asyncio.create_task(running.submit(scribe, orders, timeout_s)))
                await asyncio.sleep(0.001)
                if how == "leaves":
                    tasks[-1].cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            await until(lambda: counts.held == (0, 0) and counts.waits == (0, 0))
            return ends

    for (seeds, how, beams), end in zip(arrivals, asyncio.run(scenario()), strict=True):
        if how == "waits" or isinstance(end, Written):
            for seed, found in zip(seeds, end.summaries, strict=True):
                same(found, alone(scribe, order(seed, beams=beams)))
        else:
            wanted: dict[str, tuple[type[BaseException], ...]] = {
                "leaves": (asyncio.CancelledError,),
                "fails": (InferenceFailed,),
                "hurries": (DeadlineExceeded, WaitTooLong),
            }
            assert isinstance(end, wanted[how])
    assert max((step.rows for step in counts.steps), default=0) <= 5


async def test_a_step_that_hangs_fails_its_rows_and_others_are_written_by_a_new_thread() -> None:
    now, hanging, counts = [0.0], Scribe(), Counts()
    watchdog = Watchdog(1.0, clock=lambda: now[0])
    async with decoder(counts, watchdog=watchdog) as running:
        (lost,) = await held(running, hanging, order(1))
        for _ in range(20):  # the watchdog's time alone
            now[0] += 0.1
            watchdog.tick()
        with pytest.raises(InferenceHung):
            await lost
        await until(lambda: hanging.renewals == 1)
        other = Scribe(seed=1)
        found = await running.submit(other, [order(3)], 30)
        hanging.gate.set()
        again = await running.submit(hanging, [order(2)], 30)
    same(found.summaries[0], alone(other, order(3)))
    same(again.summaries[0], alone(hanging, order(2)))
    assert (counts.waits, counts.held) == ((0, 0), (0, 0))
