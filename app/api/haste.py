"""The headers by which a caller says how soon it wants its answer, and whether anybody waits for it."""

import re
import time
from collections.abc import Mapping
from typing import Any

from app.errors import InvalidRequest
from app.scheduling.haste import UNHURRIED, Haste
from app.scheduling.policy import PRIORITIES

TIMEOUT, PRIORITY = b"x-request-timeout-ms", b"x-request-priority"
MAX_TIMEOUT_MS = 86_400_000
"""A day; no request takes longer than SLUICE_TIMEOUT_MS, whatever it asks for."""

_WHOLE = re.compile(rb"[0-9]{1,9}")

PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "description": "Milliseconds from arrival in which the answer is of use, at most SLUICE_TIMEOUT_MS. Where the "
        "queue alone takes longer the request is refused at once with 429; where the time is up, with 504.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_TIMEOUT_MS},
    },
    {
        "name": "X-Request-Priority",
        "in": "header",
        "description": "`batch` where nobody in particular waits: it runs when no interactive work does, and at every "
        "eighth turn all the same.",
        "schema": {"type": "string", "enum": list(PRIORITIES), "default": PRIORITIES[0]},
    },
]
"""The two headers as OpenAPI describes them."""


def haste_of(headers: Mapping[bytes, bytes]) -> Haste:
    """Return what the headers say; ``InvalidRequest`` names the one that says it wrongly. Time counts from now."""
    if TIMEOUT not in headers and PRIORITY not in headers:
        return UNHURRIED
    timeout, priority = headers.get(TIMEOUT), headers.get(PRIORITY)
    until = None if timeout is None else time.monotonic() + _timeout_ms(timeout) / 1000
    for known in PRIORITIES:
        if priority is None or priority.strip() == known.encode("ascii"):
            return Haste(until, known)
    raise InvalidRequest(f"X-Request-Priority is {_shown(priority)}; expected one of {list(PRIORITIES)}")


def _timeout_ms(given: bytes) -> int:
    if not _WHOLE.fullmatch(given.strip()) or not 1 <= int(given) <= MAX_TIMEOUT_MS:
        raise InvalidRequest(
            f"X-Request-Timeout-Ms is {_shown(given)}; expected milliseconds, a whole number of 1 to {MAX_TIMEOUT_MS}"
        )
    return int(given)


def _shown(given: bytes | None) -> str:
    return repr((given or b"").decode("latin-1")[:40])
