"""What is known of one request while it is answered, for its log line and its metrics."""

import os
import random
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from app.keys.allowance import Allowance
from app.scheduling.haste import UNHURRIED, Haste

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_KEY = "sluice.trace"
_ids = random.Random()  # noqa: S311 - an id is unique, not secret, and the kernel's random numbers cost a call each
os.register_at_fork(after_in_child=_ids.seed)  # or all worker processes would draw the same ids


@dataclass(slots=True)
class Trace:
    """One request: filled in by the stages it passes."""

    request_id: str
    started: float
    """On ``time.perf_counter``."""
    items: int = 0
    tokens: int = 0
    model: str | None = None
    error_code: str | None = None
    key: str | None = None
    """The name of the API key that it came with."""
    allowance: Allowance | None = None
    """What that key may still ask for, where it has a limit."""
    haste: Haste = UNHURRIED
    """How soon its caller wants the answer."""
    request_key: str = ""
    """By which the caller wants the same version each time, where several share the traffic."""
    timings_ms: dict[str, float] | None = None

    @property
    def sticky_key(self) -> str:
        """What decides the version where several share the traffic: the caller's key, or else the request's id."""
        return self.request_key or self.request_id


def put_trace(scope: MutableMapping[str, Any], trace: Trace) -> None:
    """Attach a request's trace to its ASGI scope."""
    scope[_KEY] = trace


def trace_of(scope: MutableMapping[str, Any]) -> Trace:
    """Return the trace that the guard attached."""
    trace = scope[_KEY]
    if not isinstance(trace, Trace):
        raise TypeError("This is a bug: a request passed no guard")
    return trace


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the id that the caller gave its request, where it is one, or a new one."""
    return given_id(headers) or new_id()


def given_id(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the id that the caller gave its request, where it is one."""
    given = headers.get(b"x-request-id")
    if given is not None and REQUEST_ID.fullmatch(shown := given.decode("latin-1")):
        return shown
    return None


def new_id() -> str:
    """Return an id for a request that has none."""
    return f"{_ids.getrandbits(128):032x}"
