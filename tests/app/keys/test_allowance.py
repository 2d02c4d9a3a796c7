"""A key's buckets."""

import math

import pytest
from throttled import utils

from app.errors import RateLimited
from app.keys.allowance import Allowance, Allowances
from app.keys.key import parse
from app.keys.shared import Sheet


class Clock:
    """The monotonic clock of the buckets, which stands until it is set."""

    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    standing = Clock()
    monkeypatch.setattr(utils, "now_mono_f", standing)
    return standing


def allowance(limits: str, sheet: Sheet | None = None) -> Allowance:
    (key,) = parse(f'ci = {{sha256 = "{"ab" * 32}", scopes = ["predict"], {limits}}}', "x")
    found = Allowances(sheet).of(key)
    assert found is not None
    return found


def test_a_bucket_holds_a_minutes_worth_and_fills_evenly(clock: Clock) -> None:
    mine = allowance("items_per_minute = 60")
    mine.take("items", 45)
    mine.take("items", 15)
    with pytest.raises(RateLimited) as refused:
        mine.take("items", 3)
    assert refused.value.retry_after_s == 3
    clock.now += 2.999
    with pytest.raises(RateLimited):
        mine.take("items", 3)
    clock.now += 0.002
    mine.take("items", 3)


def test_one_text_at_a_time_gets_the_whole_rate(clock: Clock) -> None:
    mine = allowance("items_per_minute = 50")
    mine.take("items", 50)
    taken = 0
    for _ in range(600):
        clock.now += 0.1
        try:
            mine.take("items", 1)
        except RateLimited:
            continue
        taken += 1
    assert taken == pytest.approx(50, abs=1)


def test_what_never_fits_is_refused_without_a_time_to_come_back() -> None:
    mine = allowance("tokens_per_minute = 7")
    with pytest.raises(RateLimited, match="has 8 tokens; expected at most 7") as refused:
        mine.take("tokens", 8)
    assert refused.value.retry_after_s is None
    mine.take("tokens", 7)


def test_units_are_counted_apart_and_one_that_is_not_limited_is_free() -> None:
    mine = allowance("items_per_minute = 2")
    mine.take("tokens", 10_000)
    mine.take("items", 2)
    with pytest.raises(RateLimited):
        mine.take("items", 1)


def test_the_headers_tell_policy_and_state(clock: Clock) -> None:
    mine = allowance("items_per_minute = 60, tokens_per_minute = 600")
    clock.now += 1
    mine.take("items", 20)
    assert mine.headers() == [
        (b"ratelimit-policy", b'"items";q=60;w=60, "tokens";q=600;w=60'),
        (b"ratelimit", b'"items";r=40;t=20, "tokens";r=600;t=0'),
    ]


def test_what_one_process_grants_is_gone_for_all(clock: Clock) -> None:
    sheet = Sheet()
    mine, its = (allowance("items_per_minute = 60", sheet) for _ in range(2))
    mine.take("items", 40)
    its.take("items", 20)
    with pytest.raises(RateLimited, match="this key has 0 items left"):
        mine.take("items", 1)
    clock.now += 1
    its.take("items", 1)
    with pytest.raises(RateLimited):
        mine.take("items", 1)


def test_a_key_without_limits_has_no_allowance() -> None:
    (key,) = parse(f'ci = {{sha256 = "{"ab" * 32}", scopes = ["predict"]}}', "x")
    assert Allowances().of(key) is None


def test_a_file_that_is_read_again_does_not_fill_the_buckets(clock: Clock) -> None:
    line, shared = f'ci = {{sha256 = "{"ab" * 32}", scopes = ["predict"], items_per_minute = 3}}', Allowances()
    (before,), (after,) = parse(line, "x"), parse(line, "x")
    first, second = shared.of(before), shared.of(after)
    assert first is not None
    assert second is not None
    first.take("items", 3)
    with pytest.raises(RateLimited):
        second.take("items", 1)
    assert math.isclose(clock.now, 500.0)
