"""The rows that step together through one package's step graph, and the arrays that they step on.

A row joins at any step and leaves when it is done. Its source memory is kept once, however many beams read it, and
stays where it is from step to step: a row that leaves is overwritten by the last one, and only a wider source lays the
others out anew.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from app.modelpack.summaries import KindName
from app.runtime.session import Array

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

WIDTH_STEP = 16
"""Widths are multiples of this, so that the runtime meets few shapes and a slightly longer row changes none."""

_MIN_ROWS = 4
_MOSTLY = 0.5
"""A token with a larger share of copying is taken as copied."""

T = TypeVar("T")
_SHRINK_SHARE = 0.5
"""Rows are laid out anew once the longest needs no more than this share of the width."""

NOTHING = -1
"""An entry of ``banned`` that bans nothing."""


class Writer(Hashable, Protocol):
    """A package that writes: an encoder run once a text, and a step run once a token for many texts at once."""

    @property
    def name(self) -> str:
        """The package's name."""

    @property
    def version(self) -> str:
        """The package's version."""

    @property
    def bos_id(self) -> int:
        """The token that a summary's first step reads."""

    @property
    def eos_id(self) -> int:
        """The token that ends a summary."""

    @property
    def pad_id(self) -> int:
        """The id beyond a source's end."""

    def encode(self, ids: Ids, kind: KindName) -> tuple[Floats, Floats, Floats]:
        """Return memory float32[T, M], keys float32[T, A] and state float32[S] of one source, ids int64[T]."""

    def step(self, feeds: Mapping[str, Array]) -> tuple[Ids, Floats, Floats, Floats, Floats]:
        """Return what the step graph makes of ``feeds``, its inputs by name.

        top_ids int64, top_logps and top_copied float32[rows, beams, k], next_state float32[rows, beams, S] and
        next_coverage float32[rows, beams, T].
        """

    def renew(self) -> None:
        """Open new sessions in the place of those of which one hangs; ``PackageError`` where that cannot be."""


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A text to be summarized: ids int64[T], T >= 1; ``free`` lets numerals be generated that the text has not."""

    ids: Ids
    kind: KindName
    free: bool = False


class Ask(Protocol):
    """What a row asks of its next step; app.tasks.generate says what each means."""

    @property
    def tokens(self) -> Sequence[int]:
        """A live beam's last token."""

    @property
    def parents(self) -> Sequence[int]:
        """The beam of the step before that each goes on from."""

    @property
    def banned(self) -> Sequence[Sequence[int]]:
        """Ids that must not follow each."""


class Found(NamedTuple):
    """What a step found for one row: each live beam's k best next tokens, as lists of lists [live][k].

    ``sources``: the position that each is said from, the one attended to most; for a token that was copied rather than
    made up, of those that hold it. ``coverage`` float32[live, T]: with this step's attention.
    """

    ids: list[list[int]]
    logps: list[list[float]]
    copied: list[list[float]]
    sources: list[list[int]]
    coverage: Floats


class Roster:
    """Rows of one package with equally many beams. One thread at a time."""

    def __init__(self, writer: Writer, beams: int, candidates: int) -> None:
        """``candidates``: the k of the step graph, the best next tokens of each beam that a search must see."""
        self.writer = writer
        self.beams = beams
        self._k = np.array([candidates], np.int64)
        self.width = 0
        self._lens: list[int] = []
        self._memory = self._keys = self._state = self._coverage = np.zeros((0, 0, 0), np.float32)
        self._ids = np.zeros((0, 0), np.int64)
        self._free = np.zeros(0, np.float32)

    @property
    def rows(self) -> int:
        """Rows that step together now."""
        return len(self._lens)

    @property
    def tokens(self) -> int:
        """Source tokens of all rows, without padding."""
        return sum(self._lens)

    @property
    def cells(self) -> int:
        """Rows x width: what the memory takes and attention reads."""
        return self.rows * self.width

    def join(self, source: Draft) -> None:
        """Encode a text and add it as the last row, at its first step; raises what the encoder raises."""
        memory, keys, state = self.writer.encode(source.ids, source.kind)
        at, length = self.rows, len(source.ids)
        self._fit(padded_width(length), memory, keys, state)
        self._lens.append(length)
        self._memory[at, :length] = memory  # [T, M]
        self._keys[at, :length] = keys  # [T, A]
        self._ids[at, :length] = source.ids  # [T]
        self._memory[at, length:] = self._keys[at, length:] = 0.0
        self._ids[at, length:] = self.writer.pad_id
        self._state[at] = state  # [beams, S]
        self._coverage[at] = 0.0  # [beams, W]
        self._free[at] = source.free

    def leave(self, at: int) -> None:
        """Forget row ``at``; the last row takes its place."""
        last = self.rows - 1
        if at != last:
            for array in self._arrays:
                array[at] = array[last]
        self._lens[at] = self._lens[last]
        self._lens.pop()

    def step(self, asks: Sequence[Ask]) -> list[Found | Exception]:
        """Return what each row's step found, or why it failed, in the order of the rows.

        Where the graph raises, the rows are run in ever smaller parts, so that one bad row fails alone.
        """
        if len(asks) != self.rows:
            raise ValueError(f"This is a bug: {len(asks)} asks of {self.rows} rows")
        self._shrink()
        found: list[Found | Exception] = []
        self._run(asks, self._feeds(asks), 0, self.rows, found)
        return found

    @property
    def _arrays(self) -> tuple[Array, ...]:
        return self._memory, self._keys, self._ids, self._state, self._coverage, self._free

    def _feeds(self, asks: Sequence[Ask]) -> dict[str, Array]:
        rows, state, coverage = self.rows, self._state[: self.rows], self._coverage[: self.rows]
        if self.beams > 1:
            parents = np.array([_filled(ask.parents, self.beams) for ask in asks], np.intp)  # [rows, beams]
            own = np.arange(rows)[:, None]  # [rows, 1]
            state, coverage = state[own, parents], coverage[own, parents]
        return {
            "tokens": np.array([_filled(ask.tokens, self.beams) for ask in asks], np.int64),  # [rows, beams]
            "state": state,  # [rows, beams, S]
            "coverage": coverage,  # [rows, beams, W]
            "memory": self._memory[:rows],  # [rows, W, M]
            "keys": self._keys[:rows],  # [rows, W, A]
            "ids": self._ids[:rows],  # [rows, W]
            "lens": np.array(self._lens, np.int64),  # [rows]
            "banned": _banned(asks, self.beams),  # [rows, beams, bans]
            "free": self._free[:rows],  # [rows]
        }

    def _run(
        self, asks: Sequence[Ask], feeds: dict[str, Array], low: int, high: int, found: list[Found | Exception]
    ) -> None:
        """Run rows ``low`` to ``high`` and add what they find to ``found``."""
        part = {name: array[low:high] for name, array in feeds.items()} | {"k": self._k}
        try:
            ids, logps, copied, state, coverage = self.writer.step(part)
        except Exception as broken:  # noqa: BLE001 - whatever it is, it is this row's answer
            if high - low == 1:
                found.append(broken)
                return
            middle = (low + high) // 2
            self._run(asks, feeds, low, middle, found)
            self._run(asks, feeds, middle, high, found)
            return
        sources = _sources(ids, copied, coverage - part["coverage"], part["ids"])  # [rows, beams, k]
        lists = zip(ids.tolist(), logps.tolist(), copied.tolist(), sources.tolist(), strict=True)
        for at, (own_ids, own_logps, own_copied, own_sources) in enumerate(lists):
            live, own_coverage = len(asks[low + at].tokens), coverage[at, :, : self._lens[low + at]]  # [beams, T]
            if live == self.beams:
                found.append(Found(own_ids, own_logps, own_copied, own_sources, own_coverage))
            else:
                own = own_ids[:live], own_logps[:live], own_copied[:live], own_sources[:live]
                found.append(Found(*own, own_coverage[:live]))
        self._state[low:high] = state  # [rows, beams, S]
        self._coverage[low:high] = coverage  # [rows, beams, W]

    def _shrink(self) -> None:
        width = padded_width(max(self._lens, default=0))
        if width <= _SHRINK_SHARE * self.width:
            self._lay_out(len(self._memory), width)

    def _fit(self, width: int, memory: Floats, keys: Floats, state: Floats) -> None:
        """Make room for one row more, at least ``width`` wide."""
        if not self.rows and not len(self._memory):
            self._memory = np.zeros((0, width, memory.shape[1]), np.float32)  # [0, W, M]
            self._keys = np.zeros((0, width, keys.shape[1]), np.float32)  # [0, W, A]
            self._ids = np.zeros((0, width), np.int64)  # [0, W]
            self._state = np.zeros((0, self.beams, len(state)), np.float32)  # [0, beams, S]
            self._coverage = np.zeros((0, self.beams, width), np.float32)  # [0, beams, W]
        room = len(self._memory)
        if self.rows == room:
            room = max(_MIN_ROWS, room + room // 2)
        self._lay_out(room, max(width, self.width) if self.rows else width)

    def _lay_out(self, room: int, width: int) -> None:
        """Put the rows into arrays for ``room`` rows of ``width``, where they are not so already."""
        if (room, width) == (len(self._memory), self.width):
            return
        rows, kept = self.rows, min(width, self.width)
        memory, keys, ids, state, coverage, free = self._arrays
        self._memory = np.zeros((room, width, *memory.shape[2:]), np.float32)  # [room, W, M]
        self._keys = np.zeros((room, width, *keys.shape[2:]), np.float32)  # [room, W, A]
        self._ids = np.zeros((room, width), np.int64)  # [room, W]
        self._state = np.zeros((room, *state.shape[1:]), np.float32)  # [room, beams, S]
        self._coverage = np.zeros((room, self.beams, width), np.float32)  # [room, beams, W]
        self._free = np.zeros(room, np.float32)  # [room]
        self._memory[:rows, :kept] = memory[:rows, :kept]
        self._keys[:rows, :kept] = keys[:rows, :kept]
        self._ids[:rows, :kept] = ids[:rows, :kept]
        self._state[:rows] = state[:rows]
        self._coverage[:rows, :, :kept] = coverage[:rows, :, :kept]
        self._free[:rows] = free[:rows]
        self.width = width


def padded_width(tokens: int) -> int:
    """Return the width of a roster whose longest source has so many tokens."""
    return -(-tokens // WIDTH_STEP) * WIDTH_STEP


def _sources(ids: Ids, copied: Floats, attention: Floats, source: Ids) -> Ids:
    """Return where each of ids int64[rows, beams, k] is said from, int64[rows, beams, k].

    copied float32[rows, beams, k], attention float32[rows, beams, W] and source int64[rows, W].
    """
    over = attention[:, :, None]  # [rows, beams, 1, W]
    same = (source[:, None, None] == ids[..., None]) & (copied > _MOSTLY)[..., None]  # [rows, beams, k, W]
    # no attention is above 1, so a position that holds a copied token goes before all others
    places: Ids = np.where(same, over + 2, over).argmax(-1)  # [rows, beams, k]
    return places


def _filled(values: Sequence[T], beams: int) -> Sequence[T]:
    """Return one value a beam: beams that are not live repeat the first, and what they find is not looked at."""
    return [*values, *[values[0]] * (beams - len(values))] if len(values) < beams else values


def _banned(asks: Sequence[Ask], beams: int) -> Ids:
    most = max(len(bans) for ask in asks for bans in ask.banned)
    if not most:
        return np.full((len(asks), beams, 1), NOTHING, np.int64)  # [rows, beams, 1]
    nothing = [NOTHING] * most
    lists = [[[*bans, *nothing[len(bans) :]] for bans in _filled(ask.banned, beams)] for ask in asks]
    return np.array(lists, np.int64)  # [rows, beams, bans]
