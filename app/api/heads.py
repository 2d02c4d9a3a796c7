"""The heads of plain requests: what they may say, and how one that comes again is known by its bytes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from app.api.haste import PRIORITY, TIMEOUT
from app.modelpack.manifest import Classifying

_MEANINGLESS = {
    *(b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma"),
    *(b"content-length", b"connection", b"keep-alive", b"origin", b"referer", b"dnt", b"priority", b"via"),
    *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-real-ip"),
    *(b"traceparent", b"tracestate", b"baggage", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-sampled", b"b3"),
}
_READ = {b"content-type", b"x-request-id", b"authorization", b"x-api-key", TIMEOUT, PRIORITY}
PLAIN_HEADERS = frozenset(_MEANINGLESS | _READ)
"""What a request may carry and be plain: what nothing here reads, and what is read here as the routes read it."""
_JSON = {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}

_MOST_BYTES = 2048
"""A longer head is parsed each time: connections are many, and each keeps its own."""
_LINES = re.compile(rb"(POST [^\r\n]+\r\n(?:[^\r\n]+\r\n)*?(?i:content-length): ?)(\d+)((?:\r\n[^\r\n]+)*\r\n\r\n)")
"""A head up to the figure of its Content-Length, the figure, and the rest."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a plain request says before its body, as far as it is the same whenever the same bytes come."""

    path: str
    task: Classifying
    headers: Mapping[bytes, bytes]
    is_open: bool
    """Whether anybody may ask, whatever key the request brings."""
    is_hurried: bool
    """Whether it says how soon the answer is wanted."""
    request_id: str | None
    """As the caller gave it."""


def plain_headers(given: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes] | None:
    """Return headers by their name, ``None`` where one of them makes the request none that is plain."""
    headers = dict(given)
    if (
        PLAIN_HEADERS.issuperset(headers)
        and len(headers) == len(given)  # of a header given twice the routes may read the other
        and headers.get(b"content-type") in _JSON
    ):
        return headers
    return None


class Known:
    """The bytes of a head that was parsed and found plain.

    It is known again where all of it is the same but the figure of its Content-Length, and where that is just as much
    as came with it. A head that is known again is never longer than it was at first, so whatever bounds it has passed
    it would pass again.
    """

    __slots__ = ("_after", "_after_bytes", "_before", "_figure_at", "_figure_ends", "head")

    def __init__(self, head: Head, before: bytes, figure: bytes, after: bytes) -> None:
        self.head = head
        self._before = before
        self._figure_at = len(before)
        self._figure_ends = len(before) + len(figure) + 1
        self._after = after
        self._after_bytes = len(after)

    @classmethod
    def learned(cls, head: Head, data: bytes) -> Self | None:
        """Return how ``head`` is known again, if it can be, where ``data`` is all of its request and nothing else."""
        found = _LINES.match(data, 0, _MOST_BYTES)
        if found is None or found[2] != b"%d" % (len(data) - found.end()):
            return None
        return cls(head, *found.groups())

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body where ``data`` is this head and all of a body and nothing else, otherwise ``None``."""
        if not data.startswith(self._before):
            return None
        began = self._figure_at
        ended = data.find(b"\r", began, self._figure_ends)
        if ended < 0 or not data.startswith(self._after, ended):
            return None
        body = data[ended + self._after_bytes :]
        return body if data[began:ended] == b"%d" % len(body) else None
