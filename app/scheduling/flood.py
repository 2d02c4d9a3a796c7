"""Whether more keep coming than are answered: what tells overload from a crowd that begins at once.

Callers who wait for each other are, however many begin together and however slow the first batches are, from then on as
many as are answered. A flood is one short span of time after the other in which more came than can be done, of which
both halves had more who came than who were answered. The first alone is also what a forecast that is too high makes of
callers who wait for each other, the second what a long document does, beside which nobody is answered.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice

_SPAN_S, _SPANS = 0.02, 6
"""How long a span is, and how many in a row are a flood. A crowd that comes within the time of all but two is none."""
_PARTS = 4
"""A span is counted in so many parts, so that one ends with each."""
_KNOWN_S = 0.6
"""For how long it is known who came and was answered: who is read later than that is in no flood."""
_MORE = 1.3
"""How many times as many as can be done, and as are answered, are more."""
_MEMORY = 0.99
"""What the usual cost of a request so far still counts for at the next: the last hundred or so decide.

A span has some tens of requests, of which one may cost as much as all others; their number says more.
"""


@dataclass(slots=True)
class _Part:
    joined: float = 0.0
    answered: int = 0


class Flood:
    """Counts who comes and who is answered; touched by the event loop alone."""

    def __init__(self) -> None:
        parts = _number(_KNOWN_S)
        self._parts = deque([_Part() for _ in range(parts)], parts)
        self._newest = parts - 1
        self._came = 0.0
        """When the last came, as far as is known."""
        self._usual_s = 0.0
        self._known = 0

    def joined(self, requests: int, cost_s: float, now: float, lag_s: float = 0.0) -> None:
        """Count requests that are forecast to take so long with all threads, and had waited to be read.

        An event loop that is late reads at once what came one after the other, since it last looked.
        """
        self._known += requests
        counts = max(1 - _MEMORY**requests, requests / self._known)
        self._usual_s += (cost_s / requests - self._usual_s) * counts
        last, self._came = self._came, max(self._came, now - lag_s)
        parts = self._between(max(last, self._came - lag_s), self._came)
        for part in parts:
            part.joined += requests / len(parts)

    def answered(self, requests: int, now: float) -> None:
        """Count requests whose answers are there."""
        for part in self._between(now, now):
            part.answered += requests

    @property
    def is_on(self) -> bool:
        """Whether the last to come came in one."""
        parts = _SPANS * _PARTS
        end = max(_number(self._came) - self._oldest, 0)
        last = list(islice(self._parts, max(end - parts, 0), end))
        return (
            len(last) == parts
            and all(self._is_too_much(span) for span in _cut(last, _PARTS))
            and all(map(_is_more, _cut(last, parts // 2)))  # batches are answered at once, a span may have none
        )

    def _is_too_much(self, span: list[_Part]) -> bool:
        return sum([part.joined for part in span]) * self._usual_s > _MORE * _SPAN_S

    def _between(self, start: float, end: float) -> list[_Part]:
        """Return the parts from one time to another, less those that are long over."""
        first, last = _number(start), _number(end)
        for _ in range(min(last - self._newest, len(self._parts))):
            self._parts.append(_Part())
        self._newest = max(self._newest, last)
        return [self._parts[number - self._oldest] for number in range(max(first, self._oldest), last + 1)]

    @property
    def _oldest(self) -> int:
        return self._newest - len(self._parts) + 1


def _number(at: float) -> int:
    return int(at / _SPAN_S * _PARTS)


def _cut(parts: list[_Part], size: int) -> list[list[_Part]]:
    return [parts[at : at + size] for at in range(0, len(parts), size)]


def _is_more(parts: list[_Part]) -> bool:
    return sum([part.joined for part in parts]) > _MORE * sum([part.answered for part in parts])
