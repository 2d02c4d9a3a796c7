"""The rule of numerals by whole histories and regular expressions: what the tree of pieces is held against."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMERAL = re.compile(r"[12](?:1|31|4|(?<!4)5)*")
"""Over the signs of pieces, a digit each (see ``app.modelpack.signs.Sign``)."""
_DIGITS, _SPACED, _JOINER, _UNIT = 1, 2, 3, 4


@dataclass(frozen=True)
class Rule:
    """A source's ids, and the sign of each id of the vocabulary."""

    source: tuple[int, ...]
    signs: tuple[int, ...]

    def runs(self, ids: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the numerals in a row of ids."""
        said = "".join(str(self.signs[token]) for token in ids)
        return [tuple(ids[found.start() : found.end()]) for found in _NUMERAL.finditer(said)]

    def unfinished(self, history: Sequence[int]) -> int:
        """Return how many tokens at the end of a summary are of a numeral that the source does not end there."""
        run, _ = self._stand(history)
        return len(run) if run and run not in self.runs(self.source) else 0

    def allows(self, history: Sequence[int], token: int, left: int) -> bool:
        """Tell whether a token may follow, where ``left`` are to be written, it among them."""
        run, dangling = self._stand(history)
        known = self.runs(self.source)
        goes_on = any(one[: len(run) + 1] == (*run, token) and len(one) - len(run) <= left for one in known)
        if self.unfinished(history):
            return goes_on
        begins = any(one[0] == token and len(one) <= left for one in known)
        if run and goes_on:
            return True
        if run and self.signs[token] == _UNIT:
            return False
        if token in self.source and self.signs[token] in {_DIGITS, _SPACED}:
            return begins and (self.signs[token] == _SPACED or not (run or dangling))
        return True

    def _stand(self, history: Sequence[int]) -> tuple[tuple[int, ...], bool]:
        """Return the numeral at a summary's end as far as it is said, and whether one and a sign are instead."""
        run: tuple[int, ...] = ()
        dangling = False
        known = self.runs(self.source)
        for token in history:
            if run and any(one[: len(run) + 1] == (*run, token) for one in known):
                run = (*run, token)
                continue
            dangling = bool(run or dangling) and self.signs[token] == _JOINER
            run = (token,) if any(one[0] == token for one in known) else ()
        return run, dangling
