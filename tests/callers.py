"""Callers that post without a pause, each over a connection that it keeps, and note what came of every request."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

GOOD = {"inputs": "a good film, and a good story"}
_PAUSE_S = 0.01
"""After a failure, before the next connection."""


@dataclass(frozen=True)
class Outcome:
    """One request: when it began and ended on ``time.monotonic``, and its status, 0 where none came."""

    began: float
    ended: float
    status: int
    body: bytes = b""


@dataclass
class Callers:
    """What they saw."""

    outcomes: list[Outcome] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def lost(self) -> list[Outcome]:
        """Requests without an answer."""
        return [each for each in self.outcomes if not each.status]

    def wait_for(self, more: int, within_s: float = 60) -> None:
        """Return once so many more requests are answered with 200."""
        until, before = time.monotonic() + within_s, self._good()
        while self._good() < before + more:
            assert time.monotonic() < until, "the callers get no answers"
            time.sleep(0.02)

    def _good(self) -> int:
        return sum(each.status == 200 for each in list(self.outcomes))


@contextmanager
def calling(url: str, callers: int, bodies: Sequence[object] = (GOOD,)) -> Iterator[Callers]:
    """Let callers post to the sentiment route until the end of the context."""
    seen = Callers()
    threads = [
        threading.Thread(target=_call, args=(url, bodies[at % len(bodies)], seen), daemon=True) for at in range(callers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        seen.stopped.set()
        for thread in threads:
            thread.join(60)


def _call(url: str, body: object, seen: Callers) -> None:
    parts = urlsplit(url)
    raw = json.dumps(body).encode()
    connection: http.client.HTTPConnection | None = None
    while not seen.stopped.is_set():
        began = time.monotonic()
        try:
            if connection is None:
                connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
                connection.connect()
        except OSError:  # not accepted, so nobody's request
            connection = None
            time.sleep(_PAUSE_S)
            continue
        try:
            connection.request("POST", "/v1/sentiment", raw, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            outcome = Outcome(began, 0.0, answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            outcome = Outcome(began, 0.0, 0)
        if not outcome.status or answer.will_close:
            connection.close()
            connection = None
        seen.outcomes.append(Outcome(began, time.monotonic(), outcome.status, outcome.body))
    if connection is not None:
        connection.close()
