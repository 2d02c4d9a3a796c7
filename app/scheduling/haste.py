"""How soon a caller wants its answer, and whether anybody waits for it."""

import time
from dataclasses import dataclass

from app.scheduling.policy import Priority


@dataclass(frozen=True, slots=True)
class Haste:
    """A caller's deadline and class."""

    until: float | None = None
    """On ``time.monotonic``; ``None`` where the caller sets none."""
    priority: Priority = "interactive"

    def left_s(self, most_s: float) -> float:
        """Return the seconds that are left, at most ``most_s``: what the service lets any request take."""
        return most_s if self.until is None else min(most_s, self.until - time.monotonic())


UNHURRIED = Haste()
"""Of those who say nothing."""
