"""Where each beam of many texts stands in the numerals of its source, and what may follow there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.tasks.generate import NOTHING, Ids
from app.tasks.numerals import OUTSIDE, Numerals

_MIN_ROWS = 4


@dataclass(slots=True)
class _Row:
    """A text's numerals, and of its beams: tokens left to write, nodes, most bans, and what alone may follow if so."""

    numerals: Numerals | None
    left: int
    nodes: list[int]
    width: int = 0
    only: dict[int, list[int]] = field(default_factory=dict)


class Standings:
    """R texts of K beams each, of which some heed no numerals."""

    def __init__(self, beams: int) -> None:
        self._beams = beams
        self._rows: list[_Row] = []
        self._heeding = 0
        self._banned = np.full((0, beams, 0), NOTHING, np.int64)  # [room, K, N]

    @property
    def heeded(self) -> bool:
        """Whether any row has numerals to heed."""
        return self._heeding > 0

    @property
    def banned(self) -> Ids:
        """What may not follow, int64[R, K, N]; a view, in which a beam whose numeral has to go on has no entry."""
        return self._banned[: len(self._rows), :, : max((row.width for row in self._rows), default=0)]

    def join(self, numerals: Numerals | None, max_tokens: int) -> None:
        """Add a row at the end, which will write up to ``max_tokens``; numerals that are none or false ban nothing."""
        row = _Row(numerals or None, max_tokens, [OUTSIDE] * self._beams)
        self._rows.append(row)
        self._heeding += row.numerals is not None
        self._write(len(self._rows) - 1, row)

    def leave(self, at: int) -> None:
        """Forget row ``at``; the last row takes its place."""
        self._heeding -= self._rows[at].numerals is not None
        last = self._rows.pop()
        if at < len(self._rows):
            self._rows[at] = last
            self._banned[at] = self._banned[len(self._rows)]

    def extend(self, origins: Ids, tokens: Ids) -> None:
        """Let each beam go on from one of its row, origins int64[R, K], with tokens int64[R, K].

        Beam k of row r is r K + k.
        """
        if not self._heeding:
            return
        for at, (row, own, said) in enumerate(zip(self._rows, origins.tolist(), tokens.tolist(), strict=True)):
            if row.numerals is None:
                continue
            row.left -= 1
            nodes = row.nodes
            if any(nodes) or row.numerals.begun_by(said):  # most often no beam is in a numeral
                after, first = row.numerals.after, at * self._beams
                nodes = [after(row.nodes[origin - first], token) for origin, token in zip(own, said, strict=True)]
            if nodes != row.nodes or row.left <= row.numerals.longest:
                row.nodes = nodes
                self._write(at, row)

    def forced(self) -> Iterator[tuple[int, int, list[int], int]]:
        """Yield the row and beam of each numeral that has to go on, what alone may follow, and of how many ids."""
        if self._heeding:
            for at, row in enumerate(self._rows):
                if row.only and row.numerals is not None:
                    for beam, only in row.only.items():
                        yield at, beam, only, row.numerals.vocabulary

    def unfinished(self, at: int, beam: int) -> int:
        """Return how many tokens at a beam's end are of a numeral that has to go on."""
        row = self._rows[at]
        return row.numerals.unfinished(row.nodes[beam]) if row.numerals is not None else 0

    def _write(self, at: int, row: _Row) -> None:
        """Put down what may follow each beam of a row."""
        row.only = {}
        banned: list[Sequence[int]] = []
        for beam, node in enumerate(row.nodes):
            if row.numerals is None:
                banned.append(())
            elif row.numerals.unfinished(node):
                row.only[beam] = row.numerals.only(node, row.left)
                banned.append(())
            else:
                banned.append(row.numerals.banned(node, row.left))
        row.width = max(map(len, banned))
        self._fit(at + 1, row.width)
        self._banned[at] = NOTHING
        for beam, ids in enumerate(banned):
            self._banned[at, beam, : len(ids)] = ids

    def _fit(self, rows: int, width: int) -> None:
        """Make room for so many rows and bans of each beam: twice as many rows as there were, at least."""
        room, _, had = self._banned.shape
        if rows <= room and width <= had:
            return
        more = max(_MIN_ROWS, room, rows - room) if rows > room else 0
        wider = (0, more), (0, 0), (0, max(0, width - had))
        self._banned = np.pad(self._banned, wider, constant_values=NOTHING)
