"""A table of times that several processes read and write."""

import multiprocessing
import os
import signal
import time

from app.keys.shared import Sheet

FORK = multiprocessing.get_context("fork")


def add(sheet: Sheet, times: int) -> None:
    for _ in range(times):
        with sheet:
            sheet.put("key", (sheet.get("key") or 0.0) + 1)


def die_inside(sheet: Sheet) -> None:
    with sheet:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_name_that_was_never_put_has_no_time() -> None:
    assert Sheet().get("key") is None


def test_two_processes_lose_none_of_what_the_other_adds() -> None:
    sheet = Sheet()
    others = [FORK.Process(target=add, args=(sheet, 2_000)) for _ in range(2)]
    for other in others:
        other.start()
    add(sheet, 2_000)
    for other in others:
        other.join()
    assert sheet.get("key") == 6_000


def test_a_process_that_dies_inside_keeps_nobody_out() -> None:
    sheet = Sheet()
    other = FORK.Process(target=die_inside, args=(sheet,))
    other.start()
    other.join()
    began = time.monotonic()
    add(sheet, 1)
    assert time.monotonic() - began < 5
    assert sheet.get("key") == 1


def test_where_there_is_no_room_the_earliest_gives_way() -> None:
    sheet = Sheet()
    names = [f"key {number}" for number in range(20_000)]  # more than there are cells
    for at, name in enumerate(names, 1):
        sheet.put(name, float(at))
    assert [sheet.get(name) for name in names[-100:]] == [float(at) for at in range(19_901, 20_001)]
