"""Who may join the queue: by the wait that is forecast, and less while more comes than can be done."""

from contextlib import suppress

import pytest

from app.errors import WaitTooLong
from app.scheduling.admission import Admission, Patience

PATIENT = Patience(max_wait_s=2.0, overload_wait_s=0.01)


def offered(admission: Admission, share: float, seconds: float, start: float = 0.0, wait_s: float = 0.2) -> float:
    """Accept that share of what two threads can do, a job of 2 ms at a time; return when it ended.

    As much as can be done is answered, and the wait grows from ``wait_s`` by the rest.
    """
    now = start
    done = 0.0
    while now < start + seconds:
        admission.accept(0.002, wait_s + max(0.0, share - 1) * (now - start), now)
        now += 0.001 / share
        done += min(1.0, 1 / share)
        admission.answered(int(done), now)
        done %= 1
    return now


def test_a_wait_is_what_goes_before_shared_by_the_threads() -> None:
    admission = Admission(2, PATIENT)
    assert admission.wait_s(0.5, busy=False) == 0.25


def test_where_all_threads_run_half_a_batch_is_still_to_come() -> None:
    admission = Admission(2, PATIENT)
    admission.ran(0.008, 0.008, crowded=True)
    assert admission.wait_s(0.5, busy=True) == 0.25 + 0.004


def test_batches_that_take_longer_than_their_shares_stretch_the_forecast() -> None:
    admission = Admission(1, PATIENT)
    for _ in range(200):
        admission.ran(0.006, 0.003, crowded=True)
    assert admission.wait_s(1.0, busy=False) == pytest.approx(2.0, rel=0.01)


def test_small_batches_say_nothing_of_those_that_a_crowd_fills() -> None:
    admission = Admission(1, PATIENT)
    for _ in range(200):
        admission.ran(0.006, 0.003, crowded=False)
    assert admission.wait_s(1.0, busy=False) == 1.0


def test_a_batch_that_is_held_up_says_little_of_the_next() -> None:
    admission = Admission(1, PATIENT)
    for seconds in (9.0, 0.003, 0.003, 9.0, 0.003):
        admission.ran(seconds, 0.003, crowded=True)
    assert admission.wait_s(1.0, busy=False) < 1.25


def test_a_machine_that_became_twenty_times_slower_is_noticed_within_a_hundred_batches() -> None:
    admission = Admission(1, PATIENT)
    for _ in range(100):
        admission.ran(0.060, 0.003, crowded=True)
    assert admission.wait_s(1.0, busy=False) == pytest.approx(20.0, rel=0.2)


def test_a_wait_beyond_the_bound_is_refused_with_the_time_to_come_back() -> None:
    admission = Admission(2, PATIENT)
    admission.refuse_wait(1.9, now=0.0)
    with pytest.raises(WaitTooLong, match="some 4500 ms; expected at most the 2000 ms") as refused:
        admission.refuse_wait(4.5, now=0.0)
    assert refused.value.retry_after_s == 3


def test_a_closed_loop_that_keeps_all_threads_busy_is_no_overload() -> None:
    admission = Admission(2, PATIENT)
    now = offered(admission, 1.0, seconds=5.0)
    assert admission.limit_s(now) == 2.0


def test_as_many_as_are_answered_in_a_second_may_begin_at_once() -> None:
    admission = Admission(2, PATIENT)
    for _ in range(1000):
        admission.accept(0.002, 0.5, 0.0)
    now = offered(admission, 1.0, seconds=5.0)
    assert admission.limit_s(now) == 2.0


@pytest.mark.parametrize("before", [0.01, 0.8])
def test_three_times_what_can_be_done_narrows_the_bound_within_a_seventh_of_a_second(before: float) -> None:
    admission = Admission(2, PATIENT)
    now = offered(admission, before, seconds=5.0)
    now = offered(admission, 3.0, seconds=0.14, start=now)
    assert admission.limit_s(now) == 0.01


def test_so_much_accepted_work_narrows_it_though_as_many_are_answered() -> None:
    admission = Admission(2, PATIENT)
    now = 0.0
    while now < 0.45:
        admission.accept(0.002, 0.2 + 2 * now, now)
        admission.answered(1, now)
        now += 0.001 / 3
    assert admission.limit_s(now) == 2.0
    now = offered(admission, 3.0, seconds=0.1, start=now, wait_s=0.2 + 2 * now)
    assert admission.limit_s(now) == 0.01


def test_a_flood_that_is_forecast_to_wait_no_longer_than_before_narrows_nothing() -> None:
    admission = Admission(2, PATIENT)
    for at in range(1200):
        admission.accept(0.002, 0.15, at * 0.001 / 3)
    assert admission.limit_s(0.4) == 2.0


def test_much_work_behind_a_queue_that_does_not_grow_is_a_closed_loop_forecast_too_high() -> None:
    admission = Admission(2, PATIENT)
    for at in range(3000):
        admission.accept(0.002, 0.15, at * 0.001 / 3)
    assert admission.limit_s(1.0) == 2.0


def test_a_little_too_much_narrows_it_once_the_queue_is_at_the_wide_bound() -> None:
    admission = Admission(2, PATIENT)
    now = offered(admission, 1.1, seconds=5.0)
    assert admission.limit_s(now) == 2.0
    with pytest.raises(WaitTooLong):
        admission.refuse_wait(2.1, now)
    assert admission.limit_s(now) == 0.01


def test_what_waits_far_beyond_the_narrow_bound_is_shed_when_overload_begins() -> None:
    kept: list[float] = []

    def shed(keep_s: float) -> int:
        kept.append(keep_s)
        return 100

    admission = Admission(2, PATIENT, shed)
    now = offered(admission, 3.0, seconds=0.3)
    assert kept == [pytest.approx(2 * 2.5 * 0.01)]
    assert admission.limit_s(now) == 0.01


def test_a_queue_at_the_wide_bound_is_not_shed() -> None:
    kept: list[float] = []

    def shed(keep_s: float) -> int:
        kept.append(keep_s)
        return 0

    admission = Admission(2, PATIENT, shed)
    with pytest.raises(WaitTooLong):
        admission.refuse_wait(2.1, 0.0)
    assert not kept


def refused(admission: Admission, times: int, apart_s: float, start: float) -> float:
    """Have so many refused; return when it ended."""
    now = start
    for _ in range(times):
        now += apart_s
        with pytest.raises(WaitTooLong):
            admission.refuse_wait(1.0, now)
    return now


def answered_and_refused(admission: Admission, refusals: int, start: float, until: float) -> float:
    """Accept a job a millisecond that need not wait, and refuse so many for each; return when it ended."""
    now = start
    while now < until:
        admission.accept(0.002, 0.0, now)
        for _ in range(refusals):
            now += 0.001 / refusals
            with suppress(WaitTooLong):
                admission.refuse_wait(1.0, now)
    return now


def test_the_bound_is_wide_again_when_refusals_are_few() -> None:
    admission = Admission(2, PATIENT)
    now = refused(admission, 1000, 0.001, start=offered(admission, 3.0, seconds=0.52))
    now = offered(admission, 0.3, seconds=0.3, start=now)
    assert admission.limit_s(now) == 0.01
    now = offered(admission, 0.3, seconds=2.0, start=now)
    assert admission.limit_s(now) == 2.0


def test_after_three_times_the_load_the_bound_is_wide_again_within_a_second() -> None:
    admission = Admission(2, PATIENT)
    burst = offered(admission, 3.0, seconds=0.52)
    now = answered_and_refused(admission, refusals=2, start=burst, until=10.0)
    assert admission.limit_s(now) == 0.01
    now = offered(admission, 0.8, seconds=0.9, start=now, wait_s=0.0)
    assert admission.limit_s(now) == 2.0


def test_where_nobody_comes_any_more_the_bound_is_wide_again() -> None:
    admission = Admission(2, PATIENT)
    now = refused(admission, 1000, 0.001, start=offered(admission, 3.0, seconds=0.52))
    assert admission.limit_s(now + 0.4) == 0.01
    assert admission.limit_s(now + 4.0) == 2.0


def test_refused_work_is_no_work_however_much_of_it_comes() -> None:
    admission = Admission(2, Patience(max_wait_s=2.0, overload_wait_s=1.9))
    now = offered(admission, 0.9, seconds=5.0)
    for _ in range(10_000):
        now += 0.0001
        with pytest.raises(WaitTooLong):
            admission.refuse_wait(2.5, now)
    offered(admission, 0.9, seconds=5.0, start=now, wait_s=1.95)
    assert admission.limit_s(now + 5.0) == 2.0


def test_after_a_minute_of_refusals_the_wide_bound_is_tried() -> None:
    admission = Admission(2, PATIENT)
    begun = offered(admission, 3.0, seconds=0.52)
    now = answered_and_refused(admission, refusals=2, start=begun, until=58.0)
    assert admission.limit_s(now) == 0.01
    assert admission.limit_s(begun + 60.1) == 2.0


def test_after_two_seconds_it_is_where_nearly_all_are_refused_for_they_ask_again_at_once() -> None:
    admission = Admission(2, PATIENT)
    begun = offered(admission, 3.0, seconds=0.52)
    now = answered_and_refused(admission, refusals=8, start=begun, until=1.5)
    assert admission.limit_s(now) == 0.01
    now = answered_and_refused(admission, refusals=8, start=now, until=2.6)
    assert admission.limit_s(now) == 2.0


def test_what_was_waited_to_be_read_leaves_less_to_wait_in_the_queue() -> None:
    admission = Admission(2, Patience(max_wait_s=2.0, overload_wait_s=0.05))
    now = offered(admission, 3.0, seconds=0.52)
    admission.refuse_wait(0.04, now)
    with pytest.raises(WaitTooLong, match="at most the 30 ms accepted now"):
        admission.refuse_wait(0.04, now, lag_s=0.02)


def test_as_much_may_always_wait_as_lasts_until_the_event_loop_comes_round_up_to_the_bound() -> None:
    admission = Admission(2, PATIENT)
    assert admission.limit_s(0.0, lag_s=1.5) == 1.5
    assert admission.limit_s(0.0, lag_s=9.0) == 2.0
    now = offered(admission, 3.0, seconds=0.52)
    assert admission.limit_s(now, lag_s=0.006) == 0.006
    assert admission.limit_s(now, lag_s=9.0) == 0.01


def test_a_deadline_that_the_queue_would_pass_is_refused() -> None:
    admission = Admission(2, PATIENT)
    admission.refuse_late(0.2, 0.1, timeout_s=0.3)
    with pytest.raises(WaitTooLong, match="some 250 ms; expected at most the 240 ms that this request may take"):
        admission.refuse_late(0.2, 0.1, timeout_s=0.24)


def test_where_nothing_waits_a_deadline_is_tried_however_short() -> None:
    Admission(2, PATIENT).refuse_late(0.0, 9.0, timeout_s=0.001)


def test_without_bounds_nothing_is_refused() -> None:
    admission = Admission(1, Patience())
    now = offered(admission, 9.0, seconds=1.0)
    admission.refuse_wait(1e6, now)
