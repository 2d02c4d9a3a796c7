"""The rows that step together through one package's step graph, and the arrays that they step on.

A row joins at any step and leaves when it is done. Its source memory is kept once, however many beams read it, and
stays where it is from step to step: a row that leaves is overwritten by the last one, and only a wider source lays the
others out anew.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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


class Found(NamedTuple):
    """What a step found for all rows: each beam's k best next tokens, best first.

    ids int64, logps and copied float32[rows, beams, k]; coverage float32[rows, beams, W], with this step's attention.
    ``failed``: the rows that could not be stepped, and why; their numbers say nothing.
    """

    ids: Ids
    logps: Floats
    copied: Floats
    coverage: Floats
    failed: Mapping[int, Exception]


class Roster:
    """Rows of one package with equally many beams. One thread at a time."""

    def __init__(self, writer: Writer, beams: int, candidates: int) -> None:
        """``candidates``: the k of the step graph, the best next tokens of each beam that a search must see."""
        self.writer = writer
        self.beams = beams
        self._k = np.array([candidates], np.int64)
        self.width = 0
        self.rows = 0
        """Rows that step together now."""
        self._lens: list[int] = []
        self._memory = self._keys = self._state = self._coverage = np.zeros((0, 0, 0), np.float32)
        self._fed: dict[str, Array] = {}  # what the last step read
        self._after = self._state, self._coverage  # what it led to
        self._ids = np.zeros((0, 0), np.int64)
        self._free = np.zeros(0, np.float32)

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
        self.rows += 1
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
        self.rows -= 1
        if at != self.rows:
            for array in self._arrays:
                array[at] = array[self.rows]
        self._lens[at] = self._lens[-1]
        self._lens.pop()

    def step(self, tokens: Ids, banned: Ids) -> Found:
        """Return what follows tokens int64[rows, beams], none of banned int64[rows, beams, N] (``NOTHING`` bans none).

        Where the graph raises, the rows are run in ever smaller parts, so that one bad row fails alone.
        """
        if len(tokens) != self.rows:
            raise ValueError(f"This is a bug: tokens of {len(tokens)} rows, for {self.rows}")
        self._shrink()
        self._fed = self._feeds(tokens, banned)
        found, state = self._run(self._fed)
        self._after = state, found.coverage
        return found

    def again(self, rows: Ids, banned: Ids) -> Found:
        """Return what the last step would have found for rows int64[H] with others banned, int64[H, beams, N].

        What ``follow`` goes on from is the same.
        """
        feeds = {name: array if name == "k" else array[rows] for name, array in self._fed.items()}
        return self._run(feeds | {"banned": banned})[0]

    def follow(self, origins: Ids, tokens: Ids, copied: Floats) -> Ids:
        """Let each beam go on from the state that one of its row led to in the last step, origins int64[rows, beams].

        Beam k of row r is r x beams + k.

        Return where the source says each of tokens int64[rows, beams], int64[rows, beams]: the position attended to
        most, and for a token that was copied rather than made up, copied float32[rows, beams], of those that hold it.
        """
        rows, beams = self.rows, self.beams
        state, coverage = self._after
        own_state, own_coverage = self._state[:rows], self._coverage[:rows]  # [rows, beams, S], [rows, beams, W]
        attention = coverage - own_coverage  # [rows, beams, W]
        if beams > 1:
            flat = origins.ravel()  # [rows * beams]
            attention = _flat(attention).take(flat, 0).reshape(attention.shape)
            _flat(coverage).take(flat, 0, _flat(own_coverage), "clip")
            _flat(state).take(flat, 0, _flat(own_state), "clip")
        else:
            own_coverage[:], own_state[:] = coverage, state
        sought = np.where(copied > _MOSTLY, tokens, NOTHING)  # [rows, beams]
        holds = self._ids[:rows, None] == sought[:, :, None]  # [rows, beams, W]
        # no attention is above 1, so a position that holds a copied token goes before all others
        np.add(attention, 2, out=attention, where=holds)
        places: Ids = attention.argmax(-1)  # [rows, beams]
        return places

    def covered(self, at: int) -> Floats:
        """Return float32[beams, T]: row ``at``'s attention over its source so far, of the beams that go on."""
        return self._coverage[at, :, : self._lens[at]]

    @property
    def _arrays(self) -> tuple[Array, ...]:
        return self._memory, self._keys, self._ids, self._state, self._coverage, self._free

    def _feeds(self, tokens: Ids, banned: Ids) -> dict[str, Array]:
        rows = self.rows
        return {
            "tokens": tokens,  # [rows, beams]
            "state": self._state[:rows],  # [rows, beams, S]
            "coverage": self._coverage[:rows],  # [rows, beams, W]
            "memory": self._memory[:rows],  # [rows, W, M]
            "keys": self._keys[:rows],  # [rows, W, A]
            "ids": self._ids[:rows],  # [rows, W]
            "lens": np.array(self._lens, np.int64),  # [rows]
            "banned": banned,  # [rows, beams, N]
            "free": self._free[:rows],  # [rows]
            "k": self._k,  # [1]
        }

    def _run(self, feeds: dict[str, Array]) -> tuple[Found, Floats]:
        """Return what is found for the rows of ``feeds``, and the states after it."""
        try:
            ids, logps, copied, state, coverage = self.writer.step(feeds)
        except Exception as broken:  # noqa: BLE001 - whatever it is, it is some row's answer
            return self._by_parts(feeds, broken)
        return Found(ids, logps, copied, coverage, {}), state

    def _by_parts(self, feeds: dict[str, Array], broken: Exception) -> tuple[Found, Floats]:
        """Run the halves of rows that failed together, and so on; return what is found, and the states after it."""
        rows, beams, best = len(feeds["tokens"]), self.beams, int(self._k[0])
        ids = np.zeros((rows, beams, best), np.int64)
        logps, copied = (np.zeros((rows, beams, best), np.float32) for _ in range(2))
        state, coverage = feeds["state"].copy(), feeds["coverage"].copy()
        wholes: tuple[Array, ...] = ids, logps, copied, state, coverage
        failed: dict[int, Exception] = {}

        def run(low: int, high: int, broken: Exception) -> None:
            if high - low == 1:
                failed[low] = broken
                return
            middle = (low + high) // 2
            for first, end in ((low, middle), (middle, high)):
                part = {name: array if name == "k" else array[first:end] for name, array in feeds.items()}
                try:
                    found = self.writer.step(part)
                except Exception as worse:  # noqa: BLE001 - as above
                    run(first, end, worse)
                    continue
                for whole, own in zip(wholes, found, strict=True):
                    whole[first:end] = own

        run(0, rows, broken)
        return Found(ids, logps, copied, coverage, failed), state

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


def _flat(array: Floats) -> Floats:
    """Return float32[rows, beams, X] as float32[rows * beams, X]; a view of what lies in one piece."""
    return array.reshape(-1, array.shape[2])
