"""What the beams of many texts have said so far, in arrays that grow with rows and tokens, and may not repeat.

Each step's tokens are kept with the beam that each goes on from, and read backwards once a summary is wanted. What
each beam has said is also kept whole, since that is looked at in every step for runs of tokens.
"""

from math import inf
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.tasks.generate import NOTHING, Floats, Ids, Token

Doubles = npt.NDArray[np.float64]
_MIN_ROWS, _MIN_TOKENS = 4, 16


class Picked(NamedTuple):
    """How the rows go on, a beam each of [R, K]: its parent, its token, that one's logp and copied share.

    ``totals``: the log-probability of the whole. A beam that is dead goes on as the first does, with a total of -inf.
    """

    parents: Ids
    tokens: Ids
    logps: Floats
    copied: Floats
    totals: Doubles


class Hypotheses:
    """The live beams of R rows, K each; one that is dead has the log-probability -inf, and says what the first says."""

    def __init__(self, beams: int) -> None:
        self.beams = beams
        self.rows = 0
        self._room = self._tokens = 0
        self._lengths = np.zeros(0, np.int64)  # [room]
        self._logps = np.zeros((0, beams))  # [room, K]
        self._said = np.zeros((0, beams, 0), np.int64)  # [room, K, tokens]
        self._ids, self._parents, self._sources = (np.zeros((0, 0, beams), np.int64) for _ in range(3))
        self._shares, self._chances = (np.zeros((0, 0, beams), np.float32) for _ in range(2))  # [room, tokens, K]

    @property
    def lengths(self) -> Ids:
        """Tokens that each row's beams have, int64[R]; a view."""
        return self._lengths[: self.rows]

    @property
    def logps(self) -> Doubles:
        """Log-probabilities float64[R, K] of all that each beam has said; a view."""
        return self._logps[: self.rows]

    def join(self) -> None:
        """Add a row at the end, of which nothing is said and one beam lives."""
        self._fit(self.rows + 1, 1)
        at = self.rows
        self._lengths[at] = 0
        self._logps[at] = -inf
        self._logps[at, 0] = 0.0
        self._said[at] = NOTHING
        self.rows += 1

    def leave(self, at: int) -> None:
        """Forget row ``at``; the last row takes its place."""
        last = self.rows - 1
        if at != last:
            length = self._lengths[last]
            self._lengths[at], self._logps[at], self._said[at] = length, self._logps[last], self._said[last]
            for array in (self._ids, self._parents, self._sources, self._shares, self._chances):
                array[at, :length] = array[last, :length]
        self.rows = last

    def last(self, first: int) -> Ids:
        """Return each beam's last token, int64[R, K]; ``first`` where there is none."""
        lengths = self.lengths
        found: Ids = self._said[np.arange(self.rows), :, lengths - 1]  # [R, K]; of nothing, the last cell
        return np.where(lengths[:, None] > 0, found, first)

    def extend(self, picked: Picked, sources: Ids) -> None:
        """Let each beam say one token more, from its place in the source, int64[R, K]."""
        rows = self.rows
        self._fit(rows, int(self.lengths.max()) + 1)
        own, lengths = np.arange(rows), self.lengths
        if self.beams > 1:
            self._said[:rows] = self._said[own[:, None], picked.parents]
        self._said[own, :, lengths] = picked.tokens
        self._logps[:rows] = picked.totals
        self._ids[own, lengths], self._parents[own, lengths] = picked.tokens, picked.parents
        self._chances[own, lengths], self._shares[own, lengths] = picked.logps, picked.copied
        self._sources[own, lengths] = sources
        self._lengths[:rows] += 1

    def tokens(self, at: int, beam: int) -> list[Token]:
        """Return what a beam has said, first to last."""
        found = []
        for place in reversed(range(int(self._lengths[at]))):
            found.append(self._token(at, place, beam))
            beam = int(self._parents[at, place, beam])
        return found[::-1]

    def since(self, at: int, first: int, end: int) -> list[Token]:
        """Return the tokens from place ``first`` to before ``end`` of a beam of one."""
        return [self._token(at, place, 0) for place in range(first, end)]

    def repeats(self, size: int) -> tuple[Ids, Ids]:
        """Return which tokens would repeat a run of ``size``: indexes int64[H] of beams, row by row, and their ids.

        Beam k of row r has the index r K + k; they come in order, with as many entries as it has ids.
        """
        lengths = self.lengths
        said = self._said[: self.rows, :, : int(lengths.max(initial=0))]  # [R, K, L]
        windows = said.shape[2] - size + 1
        if windows < 1:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        followers = said[:, :, size - 1 :]  # [R, K, windows]
        same = followers >= 0  # [R, K, windows]
        own = np.arange(self.rows)
        for place in range(size - 1):
            last = said[own, :, np.maximum(lengths - (size - 1) + place, 0)]  # [R, K]
            same &= said[:, :, place : place + windows] == last[:, :, None]
        if size > 1:
            same &= (lengths >= size)[:, None, None]
        row, beam, window = np.nonzero(same)
        return row * self.beams + beam, followers[row, beam, window]

    def _token(self, at: int, place: int, beam: int) -> Token:
        where = at, place, beam
        return Token(
            int(self._ids[where]), float(self._chances[where]), float(self._shares[where]), int(self._sources[where])
        )

    def _fit(self, rows: int, tokens: int) -> None:
        """Make room for so many rows, and as many tokens of each: twice what there was, at least."""
        if rows <= self._room and tokens <= self._tokens:
            return
        more = max(_MIN_ROWS, self._room) if rows > self._room else 0
        longer = max(_MIN_TOKENS, self._tokens) if tokens > self._tokens else 0
        self._lengths = np.pad(self._lengths, (0, more))
        self._logps = np.pad(self._logps, ((0, more), (0, 0)))
        self._said = np.pad(self._said, ((0, more), (0, 0), (0, longer)), constant_values=NOTHING)
        wider = (0, more), (0, longer), (0, 0)
        self._ids, self._parents = np.pad(self._ids, wider), np.pad(self._parents, wider)
        self._sources = np.pad(self._sources, wider)
        self._shares, self._chances = np.pad(self._shares, wider), np.pad(self._chances, wider)
        self._room, self._tokens = self._room + more, self._tokens + longer
