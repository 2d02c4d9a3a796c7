"""Cores that several processes share: a batch more where one is idle and much waits, and beside long rows alone."""

import multiprocessing

import numpy as np

from app.scheduling.job import Job, Row
from app.scheduling.places import Board
from app.scheduling.policy import Budget
from app.scheduling.queue import Waiting

BUDGET = Budget(max_cells=500, max_rows=8, max_padding_share=0.5)
LONG = 300
"""More than half of the cells of a batch."""


class Lane:
    """A lane is told by what it is."""


LANE = Lane()


def job(rows: int, length: int = 10) -> Job:
    made = Job(LANE, 1e18)
    made.rows = [Row(made, at, np.zeros(length, np.int64)) for at in range(rows)]
    return made


def queue_of(board: Board, slot: int) -> Waiting:
    return Waiting(BUDGET, 100_000, threads=1, places=board.places(slot))


def test_other_processes_see_what_one_says() -> None:
    mine, its = (board := Board(processes=2, cores=2)).places(0), board.places(1)
    mine.tell(1)
    assert mine.has_free
    other = multiprocessing.get_context("fork").Process(target=its.tell, args=(1,))
    other.start()
    other.join()
    assert not mine.has_free


def test_a_process_that_begins_anew_runs_nothing() -> None:
    board = Board(processes=1, cores=1)
    board.places(0).tell(1)
    assert not board.has_free
    assert board.places(0).has_free


def test_much_work_takes_the_core_that_another_process_leaves_idle() -> None:
    queue = queue_of(Board(processes=2, cores=2), 0)
    queue.put(job(24))
    assert len(queue.take(0)[0]) == 8
    assert len(queue.take(0)[0]) == 8  # beyond its one thread
    assert queue.take(0) == ([], [])  # and no more than there are cores


def test_no_core_is_taken_that_another_process_uses() -> None:
    board = Board(processes=2, cores=2)
    mine, other = queue_of(board, 0), queue_of(board, 1)
    other.put(job(1))
    other.take(0)
    mine.put(job(24))
    assert len(mine.take(0)[0]) == 8
    assert mine.take(0) == ([], [])


def test_a_little_work_waits_for_the_next_batch_though_a_core_is_idle() -> None:
    queue = queue_of(Board(processes=2, cores=2), 0)
    queue.put(job(12))
    assert len(queue.take(0)[0]) == 8
    assert queue.take(0) == ([], [])


def test_a_short_row_runs_beside_a_long_one_though_no_core_is_idle() -> None:
    board = Board(processes=2, cores=2)
    mine, other = queue_of(board, 0), queue_of(board, 1)
    other.put(job(1))
    other.take(0)
    mine.put(job(2, LONG))
    assert len(mine.take(0)[0]) == 1
    assert mine.take(0) == ([], [])  # the other long one may not
    mine.put(job(1))
    assert [row.length for row in mine.take(0)[0]] == [10]


def test_a_queue_of_its_own_cores_asks_for_no_place() -> None:
    queue = Waiting(BUDGET, 100_000, threads=1)
    assert queue.asking == 1
    assert queue_of(Board(processes=2, cores=4), 0).asking == 4
