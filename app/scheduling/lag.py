"""How late the event loop comes round: what a request has waited for before anybody read it.

A request that lies in its socket's buffer is in no queue. How long it lies there cannot be seen, but how late a timer
runs can, and for both the loop has to come round.
"""

import asyncio
import time

_TICK_S = 0.005
_CLOCK_S = 0.002
"""What a timer is late by where nothing holds it up: the loop's clock counts milliseconds."""
_STALE_S = 0.1
"""After so long without a tick the last one says nothing any more."""


class Lag:
    """Measured by timers that run only while requests come; touched by the event loop alone."""

    def __init__(self) -> None:
        self._due = self._ticked = 0.0
        self._ticking = False
        self._late_s = 0.0

    def now_s(self) -> float:
        """Return by how much the loop is late now, or was a moment ago; each call keeps the measuring up."""
        now = time.monotonic()
        if self._ticking:
            return max(self._late_s, now - self._due - _CLOCK_S)
        if now - self._ticked > _STALE_S:
            self._late_s = 0.0
        self._ticking, self._due = True, now + _TICK_S
        asyncio.get_running_loop().call_later(_TICK_S, self._tick)
        return self._late_s

    def _tick(self) -> None:
        self._ticking, self._ticked = False, time.monotonic()
        self._late_s = max(0.0, self._ticked - self._due - _CLOCK_S)
