"""What each piece of a vocabulary is in a numeral: digits, a sign between them, letters behind them, a word like 万."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt

from app.modelpack.normalize import SPACE

_JOINERS = frozenset(".,:/-–—~～⁄×")
"""Between digits, with no space on either side, these are of one numeral: "0.5", "1,000", "10:30", "2019-2020"."""
_UNITS = frozenset(
    ["%", "‰", "％", "百", "千", "万", "亿", "hundred", "thousand", "million", "billion", "trillion", "percent"]
)
"""After digits these are of the numeral: without them it says another number."""
_HAN_AND_BEYOND = "\u2e80"
"""Letters from here on are words of their own and no ending of a numeral, as those of "3rd" and "5bn" are."""


class Sign(IntEnum):
    """What a piece is in a numeral; all but ``SPACED_DIGITS`` and ``UNIT`` stand without white space before them."""

    OTHER = 0
    DIGITS = 1
    SPACED_DIGITS = 2
    JOINER = 3
    UNIT = 4
    LETTERS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Signs:
    """Each id's sign, ``kinds`` uint8[V], and which ids are joiners and units."""

    kinds: npt.NDArray[np.uint8]
    joiners: frozenset[int]
    units: frozenset[int]

    @classmethod
    def of(cls, pieces: Sequence[str]) -> Self:
        """Return the signs of a vocabulary, each id's piece in order."""
        kinds = np.array([_sign(piece) for piece in pieces], np.uint8)  # [V]
        joiners, units = (frozenset(np.flatnonzero(kinds == sign).tolist()) for sign in (Sign.JOINER, Sign.UNIT))
        return cls(kinds, joiners, units)


def _sign(piece: str) -> Sign:
    spaced, body = piece.startswith(SPACE), piece.removeprefix(SPACE)
    if not body.isalpha() and any(map(str.isdigit, body)):
        return Sign.SPACED_DIGITS if spaced else Sign.DIGITS
    if body in _UNITS:
        return Sign.UNIT
    if spaced or not body:
        return Sign.OTHER
    if body in _JOINERS:
        return Sign.JOINER
    return Sign.LETTERS if body.isalpha() and body[0] < _HAN_AND_BEYOND else Sign.OTHER
