"""Metrics of requests: how many, how long, refused for what, and by whose key."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from app.measures.buckets import SECONDS
from app.tally import Tallies

REJECTIONS = (
    *("queue_full", "wait_too_long", "draining", "not_ready", "body_too_large", "too_many_items"),
    *("unauthorized", "forbidden", "rate_limited", "body_too_slow", "head_too_slow", "headers_too_large"),
    *("too_many_connections", "malformed_http", "malformed_encoding"),
)


@dataclass(frozen=True, slots=True)
class KeySeries:
    """The series of one API key."""

    requests: Counter
    items: Counter
    tokens: Counter
    limited: Counter

    def add(self, items: int, tokens: int, error_code: str | None) -> None:
        """Count one request."""
        self.requests.inc()
        self.items.inc(items)
        self.tokens.inc(tokens)
        if error_code == "rate_limited":
            self.limited.inc()


class RequestMeasures:
    """What is counted of requests."""

    def __init__(self, r: Tallies) -> None:
        self.requests = Counter("sluice_requests", "Requests answered.", ["route", "code"], registry=r)
        self.request_seconds = Histogram(
            "sluice_request_duration_seconds",
            "From the first byte to the last.",
            ["route"],
            buckets=SECONDS,
            registry=r,
        )
        self.in_flight = Gauge(
            "sluice_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum", registry=r
        )
        self.items = Counter(
            "sluice_items", "Texts answered or refused.", ["model", "version", "task", "code"], registry=r
        )
        self.rejected = Counter("sluice_rejected", "Requests refused before any work.", ["reason"], registry=r)
        for reason in REJECTIONS:
            self.rejected.labels(reason)
        self._declare_keys(r)

    def _declare_keys(self, r: Tallies) -> None:
        """Declare what is counted of each API key; a key is a label from its first request on."""
        self.key_requests = Counter("sluice_key_requests", "Requests that came with the key.", ["key"], registry=r)
        self.key_items = Counter("sluice_key_items", "Their texts.", ["key"], registry=r)
        self.key_tokens = Counter("sluice_key_tokens", "Tokens of those that were answered.", ["key"], registry=r)
        self.key_limited = Counter("sluice_key_limited", "Those refused by the key's limits.", ["key"], registry=r)
        self.of_key = cache(self._of_key)

    def _of_key(self, key: str) -> KeySeries:
        return KeySeries(
            requests=self.key_requests.labels(key),
            items=self.key_items.labels(key),
            tokens=self.key_tokens.labels(key),
            limited=self.key_limited.labels(key),
        )

    def declare_route(self, route: str, codes: Iterable[str]) -> None:
        """Put a route's series in place for each HTTP status that it may answer."""
        self.request_seconds.labels(route)
        for code in codes:
            self.requests.labels(route, code)

    def declare_items(self, model: str, version: str, task: str, codes: Iterable[str]) -> None:
        """Put the series of a package's texts in place for each code that they may get."""
        for code in codes:
            self.items.labels(model, version, task, code)
