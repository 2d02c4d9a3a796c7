"""Tallies: what they are told reaches the registry whole, in time, and only once."""

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.tally import Tallies

BUCKETS = (0.001, 0.01, 0.1, 1.0)


@given(st.lists(st.one_of(st.floats(0, 2), st.sampled_from([0.0, *BUCKETS, 1e9])), max_size=50))
def test_a_histogram_gets_what_it_would_have_observed_one_by_one(values: list[float]) -> None:
    plain, tallies = CollectorRegistry(), Tallies()
    one_by_one = Histogram("seconds", ".", ["route"], buckets=BUCKETS, registry=plain).labels("a")
    tally = tallies.histogram(Histogram("seconds", ".", ["route"], buckets=BUCKETS, registry=tallies).labels("a"))
    for value in values:
        one_by_one.observe(value)
        tally.observe(value)
    samples = [{s.name + str(s.labels): s.value for m in r.collect() for s in m.samples} for r in (plain, tallies)]
    assert samples[0].keys() == samples[1].keys()
    for name, value in samples[0].items():
        if "_created" not in name:
            assert samples[1][name] == pytest.approx(value)


def test_a_counter_is_told_once() -> None:
    tallies = Tallies()
    tally = tallies.counter(Counter("texts", ".", ["code"], registry=tallies).labels("ok"))
    tally.inc()
    tally.inc(4)
    for _ in range(2):
        assert tallies.get_sample_value("texts_total", {"code": "ok"}) == 5


def test_a_gauge_goes_up_and_down() -> None:
    tallies = Tallies()
    tally = tallies.gauge(Gauge("in_flight", ".", registry=tallies))
    for change, left in ((1, 1), (2, 3), (-3, 0)):
        tally.inc(change)
        assert tallies.get_sample_value("in_flight") == left


def test_of_a_gauge_that_is_set_the_last_value_counts_and_stays() -> None:
    tallies = Tallies()
    gauge = Gauge("rows", ".", registry=tallies)
    tally = tallies.last(gauge)
    for value in (3, 0):
        tally.set(7)
        tally.set(value)
        assert tallies.get_sample_value("rows") == value
    gauge.set(5)
    assert tallies.get_sample_value("rows") == 5, "nothing was said since"


def test_several_values_at_once_are_those_values() -> None:
    tallies = Tallies()
    tally = tallies.histogram(Histogram("seconds", ".", ["route"], buckets=BUCKETS, registry=tallies).labels("a"))
    tally.observe(0.001)
    tally.observe_all([0.001, 0.5])
    tally.observe_all([])
    counts = [tallies.get_sample_value("seconds_bucket", {"route": "a", "le": str(le)}) for le in BUCKETS]
    assert counts == [2, 2, 2, 3], "cumulative, and a bound belongs to its bucket"


def test_many_requests_settle_without_anybody_reading() -> None:
    tallies = Tallies()
    counter = Counter("texts", ".", registry=tallies)
    tally = tallies.counter(counter)
    for _ in range(1000):
        tally.inc()
        tallies.settle_soon()
    assert counter._value.get() == 1000


async def test_where_processes_share_a_single_request_settles_in_a_moment() -> None:
    tallies = Tallies(shared=True)
    counter = Counter("texts", ".", registry=tallies)
    tally = tallies.counter(counter)
    tally.inc()
    tallies.settle_soon()
    assert counter._value.get() == 0
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.06, later.set)
    await later.wait()
    assert counter._value.get() == 1


def test_a_tally_that_nobody_counts_with_is_forgotten() -> None:
    tallies = Tallies()
    tallies.counter(Counter("texts", ".", registry=tallies))
    gc.collect()
    assert not tallies._tallies
