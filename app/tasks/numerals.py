"""A numeral that is begun goes on as some occurrence of it in the source does, and none is glued to another.

A summary copies pieces of numerals, and half of one says another number: "0" of "0.5", "20" of "200", "3" of "3万". The
numerals of a source make a tree of pieces; a summary under way stands at one of its nodes.
"""

from collections.abc import Iterator

from app.modelpack.signs import Sign, Signs
from app.tasks.generate import Ids

OUTSIDE = 0
"""The node of a summary that is in no numeral; the only one that is false."""
_AFTER = 1
"""The node where a numeral is over and a sign follows, with which digits would make another numeral of it."""
_DIGITS = frozenset({Sign.DIGITS, Sign.SPACED_DIGITS})


class Numerals:
    """The numerals of one source, and what they let follow; false where it has none, so that no digit can be copied."""

    def __init__(self, ids: Ids, signs: Signs, *, cut: bool = False) -> None:
        """``ids`` int64[T]: the source. ``cut``: it went on beyond them, so a numeral at their end may not be whole."""
        source: list[int] = ids.tolist()
        kinds: list[int] = signs.kinds[ids].tolist()
        self.vocabulary = len(signs.kinds)
        self._signs = signs
        self._digits = {token for token, kind in zip(source, kinds, strict=True) if kind in _DIGITS}
        self._spaced = {token for token, kind in zip(source, kinds, strict=True) if kind == Sign.SPACED_DIGITS}
        self._children: list[dict[int, int]] = [{}, {}]
        self._depths = [0, 0]
        self._needs = [0, 0]
        self._banned: dict[tuple[int, int], list[int]] = {}
        known = len(source) - (kinds[-1:] == [Sign.JOINER])  # behind a sign at the end there may be digits
        spans = _spans(kinds) if self._digits else ()
        numerals = [source[begin:end] for begin, end in spans if not cut or end < known]
        for numeral in numerals:
            self._add(numeral)
        self.longest = 1 + max((len(numeral) for numeral in numerals), default=0)
        """With more tokens left than this, none is too long to begin."""

    def __bool__(self) -> bool:
        return bool(self._digits)

    def begun_by(self, tokens: list[int]) -> bool:
        """Tell whether any of ``tokens`` begins a numeral; none of the others leads away from ``OUTSIDE``."""
        return not self._children[OUTSIDE].keys().isdisjoint(tokens)

    def after(self, node: int, token: int) -> int:
        """Return where a summary stands once it goes on from ``node`` with ``token``."""
        child = self._children[node].get(token)
        if child is not None:
            return child
        if node != OUTSIDE and token in self._signs.joiners:
            return _AFTER
        return self._children[OUTSIDE].get(token, OUTSIDE)

    def unfinished(self, node: int) -> int:
        """Return how many tokens the numeral at ``node`` has so far that has to go on; 0 where none has to."""
        return self._depths[node] if self._needs[node] else 0

    def only(self, node: int, left: int) -> list[int]:
        """Return what alone may follow where a numeral has to go on, with ``left`` tokens to write."""
        return [token for token, child in self._children[node].items() if self._needs[child] < left]

    def banned(self, node: int, left: int) -> list[int]:
        """Return what may not follow where none has to go on, with ``left`` tokens to write."""
        key = node, min(left, self.longest)
        if key not in self._banned:
            self._banned[key] = sorted(self._forbidden(*key))
        return self._banned[key]

    def _forbidden(self, node: int, left: int) -> set[int]:
        """Digits that begin no numeral of the source, or one too long; inside or behind one, what makes it another."""
        allowed = {token for token, child in self._children[OUTSIDE].items() if self._needs[child] < left}
        if node == OUTSIDE:
            return self._digits - allowed
        allowed &= self._spaced
        if node == _AFTER:
            return self._digits - allowed
        return (self._digits | self._signs.units) - allowed - set(self.only(node, left))

    def _add(self, numeral: list[int]) -> None:
        node = OUTSIDE
        for depth, token in enumerate(numeral, 1):
            need = len(numeral) - depth
            child = self._children[node].get(token)
            if child is None:
                child = self._children[node][token] = len(self._children)
                self._children.append({})
                self._depths.append(depth)
                self._needs.append(need)
            self._needs[child] = min(self._needs[child], need)
            node = child


def _spans(kinds: list[int]) -> Iterator[tuple[int, int]]:
    """Yield where each numeral of a source begins and ends; kinds [T]."""
    begin, beyond = 0, [*kinds, Sign.OTHER, Sign.OTHER]
    while begin < len(kinds):
        end = begin + 1
        if kinds[begin] in _DIGITS:
            while more := _more(beyond, end):
                end += more
            yield begin, end
        begin = end


def _more(kinds: list[int], at: int) -> int:
    """Return how many pieces from ``at`` on are of the numeral before it, in their next step."""
    if kinds[at] in {Sign.DIGITS, Sign.UNIT}:
        return 1
    if kinds[at] == Sign.LETTERS:
        return int(kinds[at - 1] != Sign.UNIT)
    return 2 if kinds[at] == Sign.JOINER and kinds[at + 1] == Sign.DIGITS else 0
