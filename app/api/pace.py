"""How many refusals a process gives away a second.

A refusal is cheap, and a caller who asks again at once makes one of it after the other: some hundred such callers would
take the cores from the work that they wait for. Beyond a rate, a connection that was refused is therefore not read for
a moment. Its next request waits in the kernel's buffer, which costs nothing, and its caller cannot send more.
"""

_REFUSALS_S = 6_000
"""At some 35 us of CPU each a fifth of a core, and more than three times the work of two cores calls for."""
_AHEAD_S = 0.05
"""What was not used of the rate lately may be used at once."""


class Pace:
    """Deals out the refusals of a process; touched by the event loop alone."""

    def __init__(self) -> None:
        self._next = 0.0
        """When the next refusal would be due, were they all evenly spaced."""

    def rest_s(self, now: float) -> float:
        """Count a refusal and return for how many seconds its connection is not to be read, mostly none."""
        self._next = max(self._next, now - _AHEAD_S) + 1 / _REFUSALS_S
        return max(0.0, self._next - now)
