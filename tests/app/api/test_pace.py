"""How many refusals are given away a second."""

import pytest

from app.api.pace import Pace


def test_as_many_as_overload_calls_for_are_given_away_at_once() -> None:
    pace = Pace()
    assert max(pace.rest_s(1.0 + at / 5_000) for at in range(20_000)) == 0.0


def test_callers_who_ask_again_at_once_share_the_rate_by_resting() -> None:
    pace, callers, asks = Pace(), [1.0] * 256, 0
    while (now := min(callers)) < 3.0:
        asks += 1
        at = callers.index(now)
        callers[at] = now + pace.rest_s(now) + 1e-4
    assert asks / 2.0 == pytest.approx(6_000, rel=0.05)


def test_what_was_not_used_is_kept_for_a_moment_only() -> None:
    pace = Pace()
    given = sum(pace.rest_s(100.0) == 0.0 for _ in range(1_000))
    assert given == pytest.approx(300, abs=2)
