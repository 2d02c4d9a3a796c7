"""What the beams of many texts have said so far, in arrays that grow with rows and tokens, and may not repeat.

Each token is kept with the one before it, and a summary read backwards once it is wanted. What each beam has said is
also kept whole, as ids, since that is looked at in every step for runs of tokens.
"""

from math import inf
from typing import Any, NamedTuple

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


_Node = tuple[int, float, float, int, Any]
"""A token's fields and the node before it, ``None`` at the first: beams that part share what they said together."""


class Hypotheses:
    """The live beams of R rows, K each; one that is dead has the log-probability -inf, and says what the first says."""

    def __init__(self, beams: int, first: int) -> None:
        """``first``: the token that a beam reads before it has said one."""
        self.beams = beams
        self.rows = 0
        self._first = first
        self._room = self._tokens = 0
        self._nodes: list[_Node | None] = []  # R K, row by row
        self._lengths = np.zeros(0, np.int64)  # [room]
        self._logps = np.zeros((0, beams))  # [room, K]
        self._last = np.zeros((0, beams), np.int64)  # [room, K]
        self._said = np.zeros((0, beams, 0), np.int64)  # [room, K, tokens]

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
        self._nodes += [None] * self.beams
        self._lengths[at] = 0
        self._logps[at] = -inf
        self._logps[at, 0] = 0.0
        self._last[at] = self._first
        self._said[at] = NOTHING
        self.rows += 1

    def leave(self, at: int) -> None:
        """Forget row ``at``; the last row takes its place."""
        last = self.rows - 1
        if at != last:
            for array in (self._lengths, self._logps, self._last, self._said):
                array[at] = array[last]
        self._nodes[at * self.beams : (at + 1) * self.beams] = self._nodes[-self.beams :]
        del self._nodes[last * self.beams :]
        self.rows = last

    def extend(self, picked: Picked, sources: Ids) -> None:
        """Let each beam say one token more, from its place in the source, int64[R, K]."""
        rows = self.rows
        self._fit(rows, int(self.lengths.max()) + 1)
        lengths, own, nodes = self.lengths, np.arange(rows), self._nodes
        if self.beams > 1:
            self._said[:rows] = self._said[own[:, None], picked.parents]
            flat = picked.parents + own[:, None] * self.beams  # [R, K]
            nodes = [nodes[at] for at in flat.ravel().tolist()]
        fields = (picked.tokens, picked.logps, picked.copied, sources)
        self._nodes = list(zip(*(field.ravel().tolist() for field in fields), nodes, strict=True))
        self._said[own, :, lengths] = picked.tokens
        self._last[:rows] = picked.tokens
        self._logps[:rows] = picked.totals
        lengths += 1

    def tokens(self, at: int, beam: int) -> list[Token]:
        """Return what a beam has said, first to last."""
        found, node = [], self._nodes[at * self.beams + beam]
        while node is not None:
            found.append(Token(*node[:4]))
            node = node[4]
        return found[::-1]

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

    def _fit(self, rows: int, tokens: int) -> None:
        """Make room for so many rows, and as many tokens of each: twice what there was, at least."""
        if rows <= self._room and tokens <= self._tokens:
            return
        more = max(_MIN_ROWS, self._room) if rows > self._room else 0
        longer = max(_MIN_TOKENS, self._tokens) if tokens > self._tokens else 0
        self._lengths = np.pad(self._lengths, (0, more))
        self._logps = np.pad(self._logps, ((0, more), (0, 0)))
        self._last = np.pad(self._last, ((0, more), (0, 0)))
        self._said = np.pad(self._said, ((0, more), (0, 0), (0, longer)), constant_values=NOTHING)
        self._room, self._tokens = self._room + more, self._tokens + longer
