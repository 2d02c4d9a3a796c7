"""Slots: oldest first, in turn, within the room that there is."""

import threading

import numpy as np
import pytest

from app.errors import QueueFull
from app.runtime.roster import Draft, padded_width
from app.scheduling.slots import Held, Job, Room, Row, Slots
from app.tasks.generate import Options
from tests.scribe import Scribe

SCRIBE = Scribe()


def job(*lengths: int, beams: int = 1) -> Job:
    made = Job(SCRIBE, submitted=0, deadline=1e18)
    options = Options(max_tokens=5, beams=beams)
    for at, length in enumerate(lengths):
        draft = Draft(np.full(length, 5), "headline")
        made.rows.append(Row(made, at, draft, options))
    return made


def slots(workers: int = 1, max_rows: int = 8, max_cells: int = 1_000, max_queue_tokens: int = 1_000) -> Slots:
    return Slots(workers, Room(max_rows, max_cells), max_queue_tokens)


def width(row: Row) -> int:
    return padded_width(row.tokens)


def take(made: Slots, worker: int = 0) -> int | None:
    """Return the tokens of the row that a worker is given, to write apart from its others."""
    row = made.take(worker, lambda row: made._held[worker].cells + width(row), block=False)
    return None if row is None else row.tokens


def test_the_oldest_comes_first() -> None:
    made = slots()
    made.put(job(50, 5))
    made.put(job(7))
    assert (made.waiting_rows, made.waiting_tokens) == (3, 62)
    assert [take(made) for _ in range(4)] == [50, 5, 7, None]
    assert made.rows == 3


def test_a_long_row_that_does_not_fit_is_not_overtaken() -> None:
    made = slots(max_cells=100)
    for length in (60, 90, 5):
        made.put(job(length))
    assert [take(made), take(made)] == [60, None]
    made.hold(0, Held())
    assert take(made) == 90


def test_room_is_bounded_in_rows() -> None:
    made = slots(max_rows=2)
    made.put(job(5, 5, 5))
    assert [take(made) for _ in range(3)] == [5, 5, None]


def test_a_row_longer_than_all_the_room_is_written_alone() -> None:
    made = slots(max_cells=100)
    made.put(job(500))
    made.put(job(5))
    assert [take(made), take(made)] == [500, None]


def test_cells_are_those_of_all_workers() -> None:
    made = slots(workers=2, max_cells=100)
    made.put(job(60, 60))
    assert take(made, 0) == 60
    assert take(made, 1) is None
    assert made.cells == 64


def test_it_is_the_turn_of_whoever_writes_least() -> None:
    made = slots(workers=2)
    made.put(job(5, beams=4))
    made.put(job(6, 7, 8))
    assert take(made, 0) == 5
    assert take(made, 0) is None
    assert [take(made, 1), take(made, 1), take(made, 1)] == [6, 7, 8]


def test_a_job_that_does_not_fit_is_refused_whole() -> None:
    made = slots(max_queue_tokens=10)
    made.put(job(6))
    with pytest.raises(QueueFull, match="6 tokens are waiting and this request has 5; expected at most 10"):
        made.put(job(2, 3))
    assert made.waiting_rows == 1


def test_a_job_larger_than_the_bound_is_taken_by_an_empty_queue() -> None:
    made = slots(max_queue_tokens=10)
    made.put(job(50))
    assert made.waiting_tokens == 50


def test_a_discarded_job_leaves_the_queue_at_once() -> None:
    made = slots()
    gone, other = job(4, 5), job(6)
    made.put(gone)
    made.put(other)
    assert take(made) == 4
    assert made.has(gone)
    assert made.discard(gone) == 1
    assert not made.has(gone)
    assert (made.waiting_tokens, take(made)) == (6, 6)


def test_a_worker_that_waits_for_room_is_woken_by_it() -> None:
    made = slots(workers=2, max_cells=100)
    made.put(job(90, 80))
    assert take(made, 0) == 90
    taken: list[Row | None] = []
    waits = threading.Thread(target=lambda: taken.append(made.take(1, width, block=True)))
    waits.start()
    waits.join(0.05)
    assert waits.is_alive()
    made.hold(0, Held())
    waits.join(5)
    assert [row.tokens for row in taken if row] == [80]


def test_closing_lets_a_waiting_worker_go_and_returns_what_will_not_be_written() -> None:
    made = slots()
    left = job(3, 4)
    made.put(left)
    assert made.close() == left.rows
    assert made.take(0, width, block=True) is None
    assert made.closed


def test_the_time_that_waits_is_the_sum_of_what_each_was_forecast_to_take() -> None:
    made, work = slots(), job(3, 4, 5)
    for row, cost_s in zip(work.rows, (0.1, 0.2, 0.4), strict=True):
        row.cost_s = cost_s
    made.put(work)
    assert made.waiting_s == pytest.approx(0.7)
    made.take(0, width, block=False)
    assert made.waiting_s == pytest.approx(0.6)
    made.discard(work)
    assert made.waiting_s == 0.0
