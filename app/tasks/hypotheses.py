"""What the beams of many texts have said so far, in arrays that grow with rows and tokens, and may not repeat.

What each beam has said is kept whole, a record a token, so that one move of memory lets all beams go on from others.
"""

from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.tasks.generate import NOTHING, Floats, Ids, Token

Doubles = npt.NDArray[np.float64]
_MIN_ROWS, _MIN_TOKENS = 4, 16

_SAID = np.dtype([("id", np.int32), ("logp", np.float32), ("copied", np.float32), ("source", np.int32)])
"""A token as it is kept: the fields of ``Token``, in their order."""
_UNSAID = np.array((NOTHING, 0.0, 0.0, 0), _SAID)


class Picked(NamedTuple):
    """How the rows go on, a beam each of [R, K]: its origin, its token, that one's logp and copied share.

    ``origins``: the beam that it goes on from, of all those of the step: beam k of row r is r K + k. ``totals``: the
    log-probability of the whole. A beam that is dead goes on as the first does, with a total of -inf.
    """

    origins: Ids
    tokens: Ids
    logps: Floats
    copied: Floats
    totals: Doubles


class Hypotheses:
    """The live beams of R rows, K each; one that is dead has the log-probability -inf, and says what the first says."""

    def __init__(self, beams: int, first: int) -> None:
        """``first``: the token that a beam reads before it has said one."""
        self.beams = beams
        self.rows = 0
        self._first = first
        self._longest = 0
        self._own = np.zeros(0, np.int64)  # [room], each row's own place
        self._lengths = np.zeros(0, np.int64)  # [room]
        self._logps = np.zeros((0, beams))  # [room, K]
        self._last = np.zeros((0, beams), np.int64)  # [room, K]
        self._said = self._spare = np.zeros((0, beams, 0), _SAID)  # [room, K, tokens]

    @property
    def lengths(self) -> Ids:
        """Tokens that each row's beams have, int64[R]; a view."""
        return self._lengths[: self.rows]

    @property
    def logps(self) -> Doubles:
        """Log-probabilities float64[R, K] of all that each beam has said; a view."""
        return self._logps[: self.rows]

    @property
    def last(self) -> Ids:
        """Each beam's last token, int64[R, K]; a view."""
        return self._last[: self.rows]

    def join(self) -> None:
        """Add a row at the end, of which nothing is said and one beam lives."""
        self._fit(self.rows + 1, 1)
        at = self.rows
        self._lengths[at] = 0
        self._logps[at] = -inf
        self._logps[at, 0] = 0.0
        self._last[at] = self._first
        self._said[at] = _UNSAID
        self.rows += 1

    def leave(self, at: int) -> None:
        """Forget row ``at``; the last row takes its place."""
        last = self.rows - 1
        if at != last:
            for array in (self._lengths, self._logps, self._last, self._said):
                array[at] = array[last]
        self.rows = last
        self._longest = int(self.lengths.max(initial=0))

    def extend(self, picked: Picked, sources: Ids) -> None:
        """Let each beam say one token more, from its place in the source, int64[R, K]."""
        rows, beams = self.rows, self.beams
        self._longest += 1
        self._fit(rows, self._longest)
        if beams > 1:
            said, moved = (array[:rows].reshape(rows * beams, -1) for array in (self._said, self._spare))
            said.take(picked.origins.ravel(), 0, moved, "clip")  # [R K, tokens]
            self._said, self._spare = self._spare, self._said
        new = np.empty((rows, beams), _SAID)
        new["id"], new["logp"], new["copied"], new["source"] = picked.tokens, picked.logps, picked.copied, sources
        lengths = self.lengths
        self._said[self._own[:rows], :, lengths] = new
        self._last[:rows] = picked.tokens
        self._logps[:rows] = picked.totals
        lengths += 1

    def tokens(self, at: int, beam: int, first: int = 0) -> list[Token]:
        """Return what a beam has said, from place ``first`` on."""
        said: list[tuple[int, float, float, int]] = self._said[at, beam, first : self._lengths[at]].tolist()
        return [Token(*fields) for fields in said]

    def repeats(self, size: int) -> tuple[Ids, Ids]:
        """Return which tokens would repeat a run of ``size``: indexes int64[H] of beams, row by row, and their ids.

        Beam k of row r has the index r K + k; they come in order, with as many entries as it has ids.
        """
        said = self._said["id"][: self.rows, :, : self._longest]  # [R, K, L]
        if size > 1:
            last = self.last.astype(np.int32)[:, :, None]  # [R, K, 1]
            begins = said[:, :, size - 2 : self._longest - 1] == last  # [R, K, windows], the last of what comes again
        else:
            begins = said != NOTHING  # [R, K, L]
        row, beam, window = begins.nonzero()  # [H] each
        ids = said[row, beam, window + (size - 1)]  # [H]
        again = ids != NOTHING  # [H], the end itself has nothing after it
        for back in range(2, size):
            again &= said[row, beam, window + (size - 1 - back)] == said[row, beam, self.lengths[row] - back]
        return (row * self.beams + beam)[again], ids[again]

    def _fit(self, rows: int, tokens: int) -> None:
        """Make room for so many rows, and as many tokens of each: twice what there was, at least."""
        room, _, had = self._said.shape
        if rows <= room and tokens <= had:
            return
        more = max(_MIN_ROWS, room) if rows > room else 0
        longer = max(_MIN_TOKENS, had) if tokens > had else 0
        self._own = np.arange(room + more)
        self._lengths = np.pad(self._lengths, (0, more))
        self._logps = np.pad(self._logps, ((0, more), (0, 0)))
        self._last = np.pad(self._last, ((0, more), (0, 0)))
        said = np.full((room + more, self.beams, had + longer), _UNSAID)  # [room, K, tokens]
        said[:room, :, :had] = self._said
        self._said, self._spare = said, said.copy()
