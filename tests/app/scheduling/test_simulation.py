"""The queue under a clock of its own: nobody waits longer than is promised, and padding stays small."""

import math
import random
from itertools import chain, islice, repeat, takewhile
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.scheduling.admission import Patience
from app.scheduling.policy import BATCH_TURN, Budget, Priority, due
from benchmarks.scheduling import BUDGET, Lane, Ran, Stall, Text, World, mixed, mixed_arrivals, takes_s

SHORT = BUDGET.max_cells // 2
"""The longest row for which no thread is kept free."""
LANES = Lane("a"), Lane("b")

texts = st.lists(
    st.builds(
        Text,
        arrives=st.floats(0, 0.3),
        tokens=st.integers(1, SHORT),
        priority=st.sampled_from(["interactive", "batch"]),
        lane=st.sampled_from(LANES),
    ),
    min_size=1,
    max_size=80,
)
hurried = st.lists(
    st.builds(
        lambda arrives, tokens, timeout, priority: Text(arrives, tokens, arrives + timeout, priority),
        arrives=st.floats(0, 0.2),
        tokens=st.integers(1, 1000),
        timeout=st.floats(0.001, 2.0),
        priority=st.sampled_from(["interactive", "batch"]),
    ),
    min_size=1,
    max_size=60,
)


def run(work: list[Text], threads: int = 2, budget: Budget = BUDGET) -> World:
    world = World(threads, budget)
    world.open_loop(sorted(work, key=lambda text: text.arrives))
    return world


def turn(ran: Ran) -> tuple[float, int]:
    return due(ran.text.arrives, ran.text.deadline), ran.row.order


def batches_before(world: World, mine: Ran, priority: Priority) -> int:
    """Count the batches of a class that started while a text waited, its own left out."""
    earlier = takewhile(lambda batch: mine not in batch.members, world.batches)
    return sum(batch.started >= mine.text.arrives and batch.members[0].text.priority == priority for batch in earlier)


@settings(max_examples=60, deadline=None)
@given(work=texts, threads=st.integers(1, 3))
def test_no_text_sees_more_batches_go_before_it_than_texts_were_due_before_it(work: list[Text], threads: int) -> None:
    world = run(work, threads)
    longest_s = max(batch.ended - batch.started for batch in world.batches)
    for mine in world.ran:
        own: Priority = mine.text.priority
        other: Priority = "batch" if own == "interactive" else "interactive"
        before = sum(
            each.text.priority == own and turn(each) < turn(mine) and each.started >= mine.text.arrives
            for each in world.ran
        )
        of_own, of_other = batches_before(world, mine, own), batches_before(world, mine, other)
        assert of_own <= before
        turns = BATCH_TURN - 1
        most_other = math.ceil((of_own + 1) / turns) if own == "interactive" else turns * (of_own + 1)
        assert of_other <= most_other
        assert mine.waited_s <= (math.ceil((of_own + of_other) / threads) + 1) * longest_s + 1e-9


@settings(max_examples=60, deadline=None)
@given(work=hurried, threads=st.integers(1, 3))
def test_every_text_runs_once_or_expires_and_none_starts_after_its_deadline(work: list[Text], threads: int) -> None:
    world = run(work, threads)
    assert len(world.ran) == len(work)
    for each in world.ran:
        assert each.expired != (each.started >= 0)
        assert each.started < each.text.deadline
    assert sum(len(batch.members) for batch in world.batches) == sum(not each.expired for each in world.ran)


@settings(max_examples=60, deadline=None)
@given(
    work=texts,
    max_cells=st.integers(64, 2048),
    max_rows=st.integers(1, 32),
    max_padding_share=st.floats(0.0, 0.5),
)
def test_every_batch_keeps_its_budget_and_one_lane_and_class(
    work: list[Text], max_cells: int, max_rows: int, max_padding_share: float
) -> None:
    world = run(work, budget=Budget(max_cells, max_rows, max_padding_share))
    for batch in world.batches:
        rows, tokens = len(batch.members), sum(each.text.tokens for each in batch.members)
        assert len({(each.text.lane, each.text.priority) for each in batch.members}) == 1
        if rows > 1:
            assert rows <= max_rows
            assert batch.cells <= max_cells
            share = max_padding_share if batch.waited > 8 else max(max_padding_share, 0.5)  # of few, forecasts decide
            assert batch.cells - tokens <= share * batch.cells


@settings(max_examples=30, deadline=None)
@given(work=texts, threads=st.integers(1, 3))
def test_no_thread_is_idle_while_a_text_waits(work: list[Text], threads: int) -> None:
    world = run(work, threads)
    for each in world.ran:
        if each.waited_s > 0:
            running = sum(batch.started < each.started <= batch.ended for batch in world.batches)
            assert running == threads, "it started later than a thread was free"


def test_the_nearest_deadline_goes_first_and_all_are_met() -> None:
    backlog = [Text(0.0, 300, deadline=1.9) for _ in range(60)]
    urgent = [Text(0.01, 300, deadline=0.03)]
    world = run(backlog + urgent)
    assert not any(each.expired for each in world.ran)
    assert world.ran[-1].ended <= 0.03


def test_a_far_deadline_is_not_overtaken_by_who_comes_later_than_a_second() -> None:
    steady = [Text(at * 0.004, 500, deadline=at * 0.004 + 0.9) for at in range(800)]
    world = run([Text(0.0, 400, deadline=1e9), *steady])
    patient = next(each for each in world.ran if each.text.tokens == 400)
    overtook = [each for each in world.ran if each.text.arrives > 1.0 and each.started < patient.started]
    assert patient.started >= 0
    assert not overtook


def test_a_short_text_waits_for_no_more_than_one_batch_while_documents_stand_in_line() -> None:
    documents = [Text(0.0, 1000) for _ in range(20)]
    shorts = [Text(0.02 + at * 0.01, 20) for at in range(5)]
    world = run([Text(0.0, 20), *documents, *shorts])
    waits = [each.waited_s for each in world.ran if each.text.tokens == 20]
    assert max(waits) < 0.001, "one of two threads is kept free of documents"
    assert all(each.started >= 0 for each in world.ran)


def test_documents_alone_get_every_thread() -> None:
    world = run([Text(0.0, 1000) for _ in range(10)])
    alone_s = world.batches[0].ended
    assert max(each.ended for each in world.ran) == pytest.approx(5 * alone_s)


def test_padding_of_mixed_lengths_at_64_connections_is_at_most_a_tenth() -> None:
    world = World()
    world.closed_loop(64, mixed(), 6_000)
    assert world.padding_share <= 0.10


def test_the_ladder_keeps_the_shapes_few() -> None:
    world = World()
    world.closed_loop(64, islice(mixed(), 10_000), 6_000)
    widths = {batch.cells // len(batch.members) for batch in world.batches}
    assert len(widths) <= 112


def closed_loop(callers: int, tokens: int, count: int, patience: Patience | None, **unlike: Any) -> World:
    """Run callers who each ask again when they are answered, and at once when they are refused.

    At once is as fast as refusals are given away (``app.api.pace``): so many callers share 6,000 of them a second.
    """
    numbers = random.Random(1)  # noqa: S311 - a reproducible load, no secret
    world = World(patience=patience, retry_s=lambda: numbers.uniform(0.5, 1.5) * callers / 6_000, **unlike)
    world.closed_loop(callers, repeat(tokens), count)
    return world


def rate(world: World) -> float:
    return len(world.ran) / max(each.ended for each in world.ran)


@settings(max_examples=25, deadline=None)
@given(
    bound_ms=st.sampled_from([10, 20, 50, 100, 300, 1000]),
    callers=st.integers(1, 256),
    tokens=st.sampled_from([20, 200]),
    max_wait_s=st.sampled_from([0.05, 2.0]),
)
@example(bound_ms=10, callers=243, tokens=20, max_wait_s=2.0)
def test_callers_who_ask_again_at_once_are_answered_at_full_speed_and_none_is_left_out(
    bound_ms: int, callers: int, tokens: int, max_wait_s: float
) -> None:
    count = callers + 1_000
    world = closed_loop(callers, tokens, count, Patience(max_wait_s, min(bound_ms / 1000, max_wait_s)))
    assert len(world.ran) == count
    assert rate(world) >= 0.85 * rate(closed_loop(callers, tokens, count, None))


def test_256_callers_with_long_texts_wait_in_line_under_the_defaults() -> None:
    world = closed_loop(256, 200, 2_000, DEFAULTS)
    assert world.refused == 0


DEFAULTS = Patience(2.0, 0.045)


@pytest.mark.parametrize("within_s", [0.0, 0.03, 0.07])
@pytest.mark.parametrize("callers", [64, 256, 512])
@pytest.mark.parametrize("tokens", [20, 200])
def test_a_crowd_that_comes_to_a_service_at_work_waits_in_line(callers: int, tokens: int, within_s: float) -> None:
    world = World(patience=DEFAULTS)
    before = (Text(0.004 * at, tokens) for at in range(250))
    crowd = (Text(1.0 + within_s * at / callers, tokens) for at in range(callers))
    world.open_loop(chain(before, crowd))
    assert world.refused == 0


@pytest.mark.parametrize("before", [0.0, 0.8])
@pytest.mark.parametrize("threads", [1, 2])
def test_three_times_the_load_delays_those_who_are_accepted_by_little_from_its_first_second_on(
    threads: int, before: float
) -> None:
    loop = World(threads)
    loop.closed_loop(256, mixed(), 4_000)
    most = len(loop.ran) / max(each.ended for each in loop.ran)
    world, tokens = World(threads, patience=DEFAULTS), mixed(3)
    calm = mixed_arrivals(max(0.05, before) * most, 0.0, 2.0, tokens, seed=1)
    world.open_loop([*calm, *mixed_arrivals(3 * most, 2.0, 1.0, tokens, seed=2)])
    waits = sorted(each.ended - each.text.arrives for each in world.ran if each.text.arrives >= 2.0)
    assert len(waits) >= 0.85 * most
    assert waits[int(0.98 * len(waits))] <= 4 * DEFAULTS.overload_wait_s


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("callers", [8, 64, 256])
@pytest.mark.parametrize("tokens", [20, 200])
def test_callers_who_wait_for_each_other_are_not_refused_where_the_first_batches_are_slow(
    callers: int, tokens: int, threads: int
) -> None:
    for held_up_s in [(0.5,), (0.05, 0.1, 0.2), (0.0, 0.3), (0.0, 0.0, 0.03, 0.03, 0.03)]:
        more_s = chain(held_up_s, repeat(0.0))
        world = closed_loop(
            callers,
            tokens,
            1_000,
            DEFAULTS,
            threads=threads,
            cost=lambda rows, width, more_s=more_s: takes_s(rows, width) + next(more_s),
        )
        assert world.refused == 0, held_up_s


@settings(max_examples=25, deadline=None)
@given(
    callers=st.integers(8, 256),
    tokens=st.sampled_from([20, 200]),
    threads=st.integers(1, 2),
    at=st.floats(0.0, 1.0),
    stands_s=st.sampled_from([0.02, 0.1, 0.5]),
)
def test_a_process_that_stands_still_for_a_moment_is_no_overload(
    callers: int, tokens: int, threads: int, at: float, stands_s: float
) -> None:
    world = closed_loop(callers, tokens, 1_500, DEFAULTS, threads=threads, stalls=(Stall(at, stands_s),))
    assert world.refused == 0
