"""The bounded queue: oldest first, nearest in length, all of a job or none."""

import threading
from dataclasses import dataclass

import numpy as np
import pytest

from app.errors import QueueFull
from app.scheduling.estimate import RunCosts
from app.scheduling.job import Job, Row
from app.scheduling.policy import BATCH_TURN, Budget, Priority, due
from app.scheduling.queue import Waiting

NEVER = 1e18


@dataclass(frozen=True)
class Lane:
    """A lane is told by what it is."""

    name: str


A, B = Lane("a"), Lane("b")


def job(*lengths: int, lane: Lane = A, deadline: float = NEVER, priority: Priority = "interactive") -> Job:
    made = Job(lane, deadline, priority=priority)
    made.rows = [Row(made, at, np.zeros(length, np.int64)) for at, length in enumerate(lengths)]
    return made


def waiting(max_tokens: int = 1_000, max_rows: int = 8, max_padding_share: float = 0.2) -> Waiting:
    return Waiting(Budget(max_cells=500, max_rows=max_rows, max_padding_share=max_padding_share), max_tokens)


def lengths(rows: list[Row]) -> list[int]:
    return [row.length for row in rows]


def test_the_row_that_waited_longest_decides_the_batch() -> None:
    queue = waiting()
    for length in (50, 5, 5, 49):
        queue.put(job(length))
    assert lengths(queue.take(0)[0]) == [49, 50]
    assert lengths(queue.take(0)[0]) == [5, 5]
    assert queue.take(0) == ([], [])


def test_lanes_never_share_a_batch() -> None:
    queue = waiting()
    queue.put(job(5, lane=A))
    queue.put(job(5, lane=B))
    queue.put(job(5, lane=A))
    first, _ = queue.take(0)
    assert [row.job.lane for row in first] == [A, A]


def test_a_job_that_does_not_fit_is_refused_whole() -> None:
    queue = waiting(max_tokens=10)
    queue.put(job(6))
    with pytest.raises(QueueFull, match="6 tokens are waiting and this request has 5; expected at most 10"):
        queue.put(job(2, 3))
    assert (queue.rows, queue.tokens) == (1, 6)


def test_a_job_larger_than_the_bound_is_taken_by_an_empty_queue() -> None:
    queue = waiting(max_tokens=10)
    queue.put(job(50))
    assert queue.tokens == 50


def test_a_discarded_job_leaves_at_once_and_frees_its_tokens() -> None:
    queue = waiting(max_tokens=10)
    gone = job(4, 5)
    queue.put(gone)
    assert queue.discard(gone) == 2
    assert (queue.rows, queue.tokens) == (0, 0)
    assert queue.discard(gone) == 0


def priced(queue: Waiting, cost_s: float, *jobs: Job) -> None:
    """Put jobs whose rows are forecast to cost so much each, and fill a batch each."""
    for each in jobs:
        for one in each.rows:
            one.cost_s, one.share = cost_s, 1.0
        queue.put(each)


def test_what_is_due_last_is_shed_until_no_more_is_left_than_may_be() -> None:
    queue = waiting()
    first, second, third = job(10, 10), job(20), job(30, 30, 30)
    priced(queue, 0.1, first, second, third)
    assert queue.shed(0.25) == [third, second]
    assert queue.rows == 2
    assert queue.tokens == 20
    assert queue.shed(0.25) == []


def test_what_the_next_batches_take_up_is_not_shed_whatever_it_is_forecast_to_cost() -> None:
    queue = waiting()
    first, second = job(10), job(20)
    priced(queue, 9.0, first, second)
    assert queue.shed(0.0) == [second]
    assert queue.rows == 1


def test_a_queue_is_short_up_to_a_full_batch_a_thread() -> None:
    queue = Waiting(Budget(max_cells=40, max_rows=4, max_padding_share=0.2), 1_000, threads=2)
    for more in (job(5, 5, 5), job(5, 20), job(20, 20, priority="batch")):
        queue.price(more)
        queue.put(more)
    assert queue.is_short, "3/4, 1/4 and 1/2 of a batch of interactive work"
    one_more = job(20)
    queue.price(one_more)
    queue.put(one_more)
    assert queue.is_short
    last = job(5)
    queue.price(last)
    queue.put(last)
    assert not queue.is_short
    queue.discard(last)
    assert queue.is_short


def test_rows_have_no_price_before_enough_has_run_to_tell() -> None:
    costs = RunCosts()
    queue = Waiting(Budget(max_cells=40, max_rows=4, max_padding_share=0.2), 1_000, costs=costs)
    for _ in range(7):
        costs.observe(A, 1, 5, 9.0)
    assert queue.price(job(5)) == 0
    costs.observe(A, 1, 5, 9.0)
    assert queue.price(job(5)) > 0


@pytest.mark.parametrize(("others", "batch"), [(6, [5, 9]), (7, [5])])
def test_while_few_wait_forecasts_alone_bound_the_padding(others: int, batch: list[int]) -> None:
    costs = RunCosts()
    for _ in range(8):
        costs.observe(A, 1, 5, 0.01)
        costs.observe(A, 1, 9, 0.01)  # a run costs what it costs, whatever its width
    queue = Waiting(Budget(max_cells=500, max_rows=8, max_padding_share=0.2), 1_000, costs=costs)
    for length in (5, 9, *[100] * others):
        queue.put(job(length))
    assert lengths(queue.take(0)[0]) == batch


def test_before_enough_has_run_to_tell_padding_is_bounded_for_few_too() -> None:
    queue = waiting()
    for length in (5, 9):
        queue.put(job(length))
    assert lengths(queue.take(0)[0]) == [5]


def test_a_job_that_has_begun_is_not_shed() -> None:
    queue = waiting(max_rows=1)
    begun, later, last = job(10, 10), job(10), job(10)
    priced(queue, 0.1, begun, later, last)
    queue.take(0.0)
    assert queue.shed(0.0) == [last, later]
    assert queue.rows == 1


def test_batch_work_is_not_shed() -> None:
    queue = waiting()
    priced(queue, 0.1, job(10, priority="batch"))
    assert queue.shed(0.0) == []


def test_expired_rows_are_handed_out_apart() -> None:
    queue = waiting()
    late, early = job(5, deadline=1.0), job(5, deadline=9.0)
    queue.put(late)
    queue.put(early)
    rows, expired = queue.take(now=2.0)
    assert (rows, expired) == (early.rows, late.rows)
    assert queue.tokens == 0


def test_two_idle_threads_share_a_short_queue() -> None:
    queue = waiting(max_rows=8)
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.append(len((queue.wait(lambda: 0.0) or ([], []))[0]))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    while queue._idle < 2:
        pass
    queue.put(job(5, 5, 5, 5, 5, 5))
    queue.wake()
    for thread in threads:
        thread.join(5)
    assert sum(taken) == 6
    assert max(taken) < 6


def test_closing_lets_a_waiting_thread_go_and_returns_what_will_not_run() -> None:
    queue = waiting()
    left = job(3)
    queue.put(left)
    assert queue.close() == left.rows
    assert queue.wait(lambda: 0.0) is None


def test_who_is_forecast_to_wait_for_nobody_goes_first() -> None:
    costs = RunCosts()
    for _ in range(50):
        costs.observe(A, 1, 5, 0.01)
    queue = Waiting(Budget(max_cells=500, max_rows=1, max_padding_share=0.2), 1_000, costs=costs)
    early = job(5, 5, 5)
    queue.price(early)
    queue.put(early, now=0.0)
    all_s = 3 * costs.seconds(A, 1, 5)
    assert queue.cost_before_s("interactive", due(0.1, NEVER)) == pytest.approx(all_s)
    assert queue.cost_before_s("interactive", due(0.95, 1.05)) == pytest.approx(all_s), "its due time is past theirs"
    assert queue.cost_before_s("interactive", due(0.1, 0.2)) == 0
    near = job(5, deadline=0.2)
    queue.put(near, now=0.1)
    assert all_s > 0
    assert [row.job for row in queue.take(0.1)[0]] == [near]


def test_interactive_work_goes_before_batch_work_that_came_first() -> None:
    queue = waiting(max_rows=1)
    for priority in ("batch", "interactive", "interactive"):
        queue.put(job(5, priority=priority))
    assert [queue.take(0)[0][0].job.priority for _ in range(3)] == ["interactive", "interactive", "batch"]


def test_batch_work_gets_one_turn_in_eight_of_a_busy_queue() -> None:
    queue = waiting(max_rows=1)
    for priority in ("batch", "interactive"):
        for _ in range(3 * BATCH_TURN):
            queue.put(job(5, priority=priority))
    taken = [queue.take(0)[0][0].job.priority for _ in range(3 * BATCH_TURN)]
    assert taken == 3 * [*["interactive"] * (BATCH_TURN - 1), "batch"]


def test_classes_never_share_a_batch() -> None:
    queue = waiting()
    for priority in ("interactive", "batch", "interactive"):
        queue.put(job(5, priority=priority))
    assert [len(queue.take(0)[0]) for _ in range(2)] == [2, 1]


def keeping_brief(threads: int = 1, longest: int = 100) -> tuple[Waiting, list[str]]:
    """Return a queue where rows of at most so many tokens are brief, and a list of how often a thread left some."""
    queue, left = Waiting(Budget(max_cells=500, max_rows=8, max_padding_share=0.2), 1_000, threads), list[str]()
    queue.leave_brief(lambda rows: max(lengths(list(rows))) <= longest, lambda: left.append("left"))
    return queue, left


@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_that_waits_alone_is_taken_where_nothing_runs_and_it_is_brief(threads: int) -> None:
    queue, _ = keeping_brief(threads, longest=5)
    assert queue.take_brief(0) is None
    queue.put(job(5))
    rows = queue.take_brief(0)
    assert rows is not None
    assert (lengths(rows), queue.rows, queue.busy) == ([5], 0, threads == 1)
    queue.put(job(5))
    assert queue.take_brief(0) is None, "something runs"
    queue.ran(rows)
    assert lengths(queue.take_brief(0) or []) == [5]


@pytest.mark.parametrize("alone", [job(5, deadline=1.0), job(400), job(101)], ids=["expired", "long", "not brief"])
def test_a_row_that_is_late_or_long_is_left_to_the_threads(alone: Job) -> None:
    queue, left = keeping_brief(longest=450 if alone.rows[0].length == 400 else 100)
    queue.put(alone)
    assert queue.take_brief(2) is None
    assert queue.rows == 1
    rows, expired = queue.take(2)
    assert (len(rows + expired), left) == (1, [])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_is_let_by_where_nothing_waits_or_runs_and_counts_as_running_until_it_has_run(threads: int) -> None:
    queue, _ = keeping_brief(threads)
    assert queue.is_still
    (row,) = job(5).rows
    assert queue.let_by(row, 0)
    assert (queue.rows, queue.busy, queue.is_still) == (0, threads == 1, False)
    assert not queue.let_by(row, 0), "one runs"
    queue.ran([row])
    assert queue.is_still
    queue.put(job(6))
    assert not queue.is_still
    assert not queue.let_by(row, 0), "one waits"


@pytest.mark.parametrize("alone", [job(5, deadline=1.0), job(400), job(101)], ids=["expired", "long", "not brief"])
def test_a_row_that_is_late_or_long_is_not_let_by(alone: Job) -> None:
    queue, _ = keeping_brief(longest=450 if alone.rows[0].length == 400 else 100)
    assert not queue.let_by(alone.rows[0], 2)
    assert queue.is_still


def test_no_row_is_let_by_a_closed_queue_or_parts_that_are_to_run_again() -> None:
    queue, _ = keeping_brief()
    queue.put_parts([job(5).rows])
    assert not queue.let_by(job(6).rows[0], 0)
    queue.close()
    assert not queue.let_by(job(6).rows[0], 0)


def test_one_thread_leaves_brief_batches_while_nothing_runs_and_several_share_them() -> None:
    queue, left = keeping_brief()
    queue.put(job(5, 50, 6))
    assert (queue.take(0), left) == (([], []), ["left"])
    rows = queue.take_brief(0) or []
    assert sorted(lengths(rows)) == [5, 6]
    queue.ran(rows)
    assert lengths(queue.take_brief(0) or []) == [50]
    shared, left = keeping_brief(threads=2)
    shared.put(job(5, 6))
    assert shared.take_brief(0) is None
    assert (lengths(shared.take(0)[0]), left) == ([5, 6], [])


def test_beside_a_long_row_what_is_brief_is_for_the_event_loop_where_the_one_thread_has_that() -> None:
    for threads, taken in ((1, [5, 6]), (2, [])):
        queue, _ = keeping_brief(threads)
        queue.put(job(400))
        long, _ = queue.take(0)
        queue.put(job(5, 6))
        assert lengths(queue.take_brief(0) or []) == taken
        assert lengths(long) == [400]


def test_while_many_wait_all_is_for_the_threads() -> None:
    queue, left = keeping_brief()
    queue.put(job(*[5] * 7, 50, 51))
    assert queue.take_brief(0) is None
    assert (len(queue.take(0)[0]), left) == (7, [])


def test_batches_of_the_class_batch_are_for_the_threads() -> None:
    queue, left = keeping_brief()
    queue.put(job(5, 6, priority="batch"))
    assert queue.take_brief(0) is None
    assert (lengths(queue.take(0)[0]), left) == ([5, 6], [])


def test_turns_are_counted_where_a_batch_is_taken_and_not_where_it_is_left() -> None:
    queue, _ = keeping_brief()
    queue.put(job(120, priority="batch"))
    queue.put(job(5))
    for _ in range(2 * BATCH_TURN):
        assert queue.take(0) == ([], [])
    for _ in range(BATCH_TURN - 1):
        rows = queue.take_brief(0)
        assert rows is not None
        queue.ran(rows)
        queue.put(job(5))
    assert queue.take_brief(0) is None
    assert lengths(queue.take(0)[0]) == [120]


def test_parts_are_run_as_they_are_and_before_all_else() -> None:
    queue = waiting()
    queue.put(job(5, 5, 6))
    rows, _ = queue.take(0)
    queue.ran(rows)
    queue.put(job(5))
    queue.put_parts([rows[:1], rows[1:]])
    assert [lengths(queue.take(0)[0]) for _ in range(3)] == [[5], [5, 6], [5]]
    queue.put_parts([rows])
    assert queue.close() == rows
