"""Waiting for what is to come true in a moment, in another thread or process."""

import asyncio
import time
from collections.abc import Callable

_LOOK_S = 0.01


def wait_until(fact: Callable[[], bool], failing: str = "it did not come true in time", within_s: float = 60) -> None:
    """Return once the fact is true; `failing` says what is wrong where it never is."""
    until = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < until, failing
        time.sleep(_LOOK_S)


async def until(fact: Callable[[], bool], failing: str = "it did not come true in time", within_s: float = 60) -> None:
    """Do the same, and let the event loop turn meanwhile."""
    ends = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < ends, failing
        await asyncio.sleep(_LOOK_S / 10)
