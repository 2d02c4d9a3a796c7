"""What may run on the event loop's thread, and what is done about a run that does not come back."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from app.errors import InferenceHung
from app.scheduling.inline import Inline
from app.scheduling.ticket import Answer
from app.scheduling.watchdog import Watchdog, Work

WIDTH, BRIEF_S = 5, 0.0005


@dataclass(eq=False)
class Lane:
    """Answers at once or, with a trap, when it is interrupted or freed."""

    model: str = "fake"
    version: str = "1"
    trapped: bool = False
    heeds: bool = True
    free: threading.Event = field(default_factory=threading.Event)

    def run(self, rows: Sequence[Any]) -> list[Answer]:
        if self.trapped and not self.free.wait(30):
            raise TimeoutError("nobody freed it")
        return [(row,) for row in rows]

    def renew(self) -> None:
        raise AssertionError("a session that was interrupted goes on")

    def interrupt(self) -> None:
        if self.heeds:
            self.free.set()


def trusting(lane: Lane, stuck: Callable[[int, float], None] | None = None) -> Inline:
    inline = Inline(0.001, stuck)
    for _ in range(3):
        inline.trust(lane, WIDTH)
    return inline


def run(inline: Inline, lane: Lane, limit_s: float = 0.05) -> Sequence[Answer]:
    watchdog = Watchdog(limit_s)
    watchdog.start()
    try:
        return inline.run(watchdog, Work(lane, "fake", "1", WIDTH), lane, [np.arange(WIDTH)])
    finally:
        watchdog.close()


def test_a_width_is_taken_once_the_threads_have_run_it_three_times() -> None:
    inline, lane = Inline(0.001), Lane()
    for _ in range(3):
        assert not inline.takes(lane, WIDTH, BRIEF_S)
        inline.trust(lane, WIDTH)
    assert inline.takes(lane, WIDTH, BRIEF_S)
    assert not inline.takes(lane, WIDTH + 1, BRIEF_S)
    assert not inline.takes(Lane(), WIDTH, BRIEF_S)


def test_a_run_that_is_forecast_to_take_longer_is_not_taken() -> None:
    lane = Lane()
    assert not trusting(lane).takes(lane, WIDTH, 0.0011)


def test_without_a_limit_nothing_is_taken() -> None:
    inline, lane = Inline(), Lane()
    for _ in range(3):
        inline.trust(lane, WIDTH)
    assert not inline.takes(lane, WIDTH, 0.0)


def test_a_lane_that_hung_is_never_taken_again() -> None:
    lane = Lane()
    inline = trusting(lane)
    inline.distrust(lane)
    for _ in range(3):
        inline.trust(lane, WIDTH)
    assert not inline.takes(lane, WIDTH, BRIEF_S)


def test_a_run_that_comes_back_in_time_is_answered() -> None:
    lane = Lane()
    ((answer,),) = run(trusting(lane), lane)
    assert answer.tolist() == [0, 1, 2, 3, 4]


def test_a_run_that_hangs_is_interrupted_and_its_lane_distrusted() -> None:
    lane = Lane(trapped=True)
    inline = trusting(lane, lambda *_: pytest.fail("it came back"))
    with pytest.raises(InferenceHung):
        run(inline, lane)
    assert not inline.takes(lane, WIDTH, BRIEF_S)


def test_a_run_that_cannot_be_interrupted_is_told_with_its_thread() -> None:
    lane, told = Lane(trapped=True, heeds=False), list[tuple[int, float]]()

    def stuck(thread: int, silent_s: float) -> None:
        told.append((thread, silent_s))
        lane.free.set()

    started = time.monotonic()
    with pytest.raises(InferenceHung):
        run(trusting(lane, stuck), lane)
    ((thread, silent_s),) = told
    assert thread == threading.get_ident()
    assert 0 < silent_s <= time.monotonic() - started
