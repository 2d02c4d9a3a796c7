"""The watchdog: what does not come back is given up once, and nothing else is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from app.scheduling.watchdog import GivenUp, Watchdog, Work


@dataclass(eq=False)
class Runner:
    renewals: int = 0
    broken: Exception | None = None

    def renew(self) -> None:
        self.renewals += 1
        if self.broken is not None:
            raise self.broken


@dataclass
class Heard:
    hangs: list[tuple[str, float]] = field(default_factory=list)
    renewals: list[Exception | None] = field(default_factory=list)
    states: list[bool] = field(default_factory=list)

    def hung(self, work: Work, limit_s: float) -> None:
        self.hangs.append((work.model, limit_s))

    def renewed(self, _work: Work, broken: Exception | None) -> None:
        self.renewals.append(broken)

    def failing(self, *, failing: bool) -> None:
        self.states.append(failing)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def watch(limit_s: float = 1.0) -> tuple[Watchdog, Clock, Heard]:
    clock, heard = Clock(), Heard()
    made = Watchdog(limit_s, heard, clock)
    made.tick()
    return made, clock, heard


def work(runner: Runner | None = None, cells: int = 10) -> Work:
    return Work(runner or Runner(), "tiny", "1", cells)


def pass_time(watchdog: Watchdog, clock: Clock, seconds: float) -> None:
    """Let time pass as it does for a process that runs, a tick after another."""
    for _ in range(round(seconds / 0.1)):
        clock.now += 0.1
        watchdog.tick()


@contextmanager
def ending_in(error: type[Exception]) -> Iterator[None]:
    """Expect an error at the end of what is watched, whatever happens in it."""
    with pytest.raises(error):
        yield


def test_a_run_that_is_late_is_given_up_once_and_hears_of_it_when_it_comes_back() -> None:
    watchdog, clock, heard = watch()
    given_up: list[Exception] = []
    with ending_in(GivenUp), watchdog.over(work(), given_up.append):
        pass_time(watchdog, clock, 0.9)
        assert not given_up
        pass_time(watchdog, clock, 5)
    assert [str(error) for error in given_up] == ["the model did not come to an end within 1.0 s"]
    assert heard.hangs == [("tiny", 1.0)]


def test_a_run_that_was_given_up_and_then_raises_is_still_given_up() -> None:
    watchdog, clock, _ = watch()
    with ending_in(GivenUp), watchdog.over(work(), lambda _: None):
        pass_time(watchdog, clock, 2)
        raise ValueError("too late to matter")


def test_a_run_that_ends_in_time_is_left_alone_and_its_error_is_its_own() -> None:
    watchdog, clock, heard = watch()
    with watchdog.over(work(), lambda _: pytest.fail("it was given up")):
        pass_time(watchdog, clock, 0.5)
    with pytest.raises(ValueError, match="its own"), watchdog.over(work(), lambda _: None):
        raise ValueError("its own")
    pass_time(watchdog, clock, 5)
    assert not heard.hangs


def test_a_lane_whose_runs_take_long_gets_fifty_times_as_long_as_they_did() -> None:
    watchdog, clock, heard = watch()
    slow = Runner()
    given_up: list[Exception] = []
    with watchdog.over(work(slow, cells=100), lambda _: None):
        clock.now += 0.4
    with ending_in(GivenUp), watchdog.over(work(slow, cells=50), given_up.append):
        pass_time(watchdog, clock, 9.8)
        assert not given_up
        pass_time(watchdog, clock, 1)
    assert [limit for _, limit in heard.hangs] == [pytest.approx(10.0)]


def test_while_the_whole_process_stands_still_nothing_grows_old() -> None:
    watchdog, clock, heard = watch()
    with watchdog.over(work(), lambda _: pytest.fail("it was given up")):
        clock.now += 3600
        watchdog.tick()
    assert not heard.hangs


def test_three_hangs_in_a_minute_are_failing_and_a_quiet_minute_is_not() -> None:
    watchdog, clock, heard = watch()
    for _ in range(3):
        assert heard.states == []
        with ending_in(GivenUp), watchdog.over(work(), lambda _: None):
            pass_time(watchdog, clock, 1.5)
    assert heard.states == [True]
    pass_time(watchdog, clock, 61)
    assert heard.states == [True, False]


def test_what_came_of_a_new_session_is_told() -> None:
    watchdog, _, heard = watch()
    broken = OSError("no such file")
    watchdog.renew(work(Runner()))
    watchdog.renew(work(Runner(broken=broken)))
    assert heard.renewals == [None, broken]


def test_a_watchdog_of_no_limit_watches_nothing() -> None:
    before = threading.active_count()
    watchdog, clock, heard = watch(0)
    watchdog.start()
    with watchdog.over(work(), lambda _: pytest.fail("it was given up")):
        clock.now += 3600
        watchdog.tick()
    assert (threading.active_count(), heard.hangs) == (before, [])


def test_the_thread_ticks_by_itself_until_it_is_closed() -> None:
    heard, late = Heard(), threading.Event()
    watchdog = Watchdog(0.1, heard)
    watchdog.start()
    with ending_in(GivenUp), watchdog.over(work(), lambda _: late.set()):
        assert late.wait(30)
    watchdog.close()
