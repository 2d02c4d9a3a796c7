"""How much a key may still ask for: a bucket of texts and a bucket of tokens, each filled evenly.

The buckets are throttled-py's, by its generic cell rate algorithm: a token bucket kept as one time, on the monotonic
clock. (Its algorithm called a token bucket counts whole seconds of the wall clock, and a key that asks often enough
would never see its bucket filled.) A bucket holds a minute's worth.
"""

import math
import sys
from dataclasses import dataclass
from typing import Literal

from throttled import Throttled, rate_limiter
from throttled.constants import RateLimiterType
from throttled.store import MemoryStore

from app.errors import RateLimited
from app.keys.key import Key
from app.keys.shared import SharedStore, Sheet

Unit = Literal["items", "tokens"]

_MINUTE_S = 60
_MOST_BUCKETS = 1 << 16
"""Two for each key that was ever asked with."""


@dataclass(slots=True)
class _Bucket:
    """One key's bucket of one unit, and what was last known of it."""

    unit: Unit
    per_minute: int
    meter: Throttled
    name: str
    remaining: int
    reset_s: float = 0.0

    def take(self, count: int) -> None:
        if count > self.per_minute:
            raise RateLimited(
                f"the request has {count} {self.unit}; expected at most {self.per_minute}, "
                "all that this key may ask for in a minute"
            )
        result = self.meter.limit(self.name, cost=count)
        state = result.state
        self.remaining, self.reset_s = state.remaining, state.reset_after
        if result.limited:
            error = RateLimited(
                f"this key has {state.remaining} {self.unit} left and the request has {count}; "
                f"expected at most {self.per_minute} a minute"
            )
            error.retry_after_s = max(1, math.ceil(state.retry_after))
            raise error


class Allowance:
    """What one key may ask for; ``take`` it before the work is done."""

    def __init__(self, buckets: dict[Unit, _Bucket]) -> None:
        self._buckets = buckets

    def take(self, unit: Unit, count: int) -> None:
        """Use up ``count`` texts or tokens; ``RateLimited`` where there are not as many left, and none are used up."""
        bucket = self._buckets.get(unit)
        if bucket is not None and count:
            bucket.take(count)

    def most(self, unit: Unit) -> int:
        """Return how much may be taken at once, and in a minute; without a limit more than there can be."""
        bucket = self._buckets.get(unit)
        return bucket.per_minute if bucket is not None else sys.maxsize

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10)."""
        policies, states = [], []
        for unit, bucket in self._buckets.items():
            policies.append(f'"{unit}";q={bucket.per_minute};w={_MINUTE_S}')
            states.append(f'"{unit}";r={bucket.remaining};t={math.ceil(bucket.reset_s)}')
        return [
            (b"ratelimit-policy", ", ".join(policies).encode("ascii")),
            (b"ratelimit", ", ".join(states).encode("ascii")),
        ]


class Allowances:
    """The buckets of all keys, in one process or in all that share a sheet."""

    def __init__(self, sheet: Sheet | None = None) -> None:
        self._store = MemoryStore(options={"MAX_SIZE": _MOST_BUCKETS}) if sheet is None else SharedStore(sheet)
        self._known: dict[str, tuple[Key, Allowance | None]] = {}

    def of(self, key: Key) -> Allowance | None:
        """Return a key's allowance, nothing where it has no limit; a changed key starts with full buckets."""
        known = self._known.get(key.name)
        if known is not None and known[0] is key:
            return known[1]
        limits: dict[Unit, int | None] = {"items": key.items_per_minute, "tokens": key.tokens_per_minute}
        buckets = {unit: self._bucket(key, unit, limit) for unit, limit in limits.items() if limit is not None}
        self._known[key.name] = (key, Allowance(buckets) if buckets else None)
        return self._known[key.name][1]

    def _bucket(self, key: Key, unit: Unit, per_minute: int) -> _Bucket:
        quota = rate_limiter.per_min(per_minute, burst=per_minute)
        meter = Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=self._store)
        return _Bucket(unit, per_minute, meter, f"{unit}:{key.sha256}:{per_minute}", per_minute)
