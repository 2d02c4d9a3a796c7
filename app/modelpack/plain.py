"""Cuts plain English as a package's tokenizer would, at a tenth of the cost.

Half of what cutting a short text costs are nine passes of normalization, of which a text in plain letters and signs
needs one: lower case. What stands between white space in such a text is looked up; where it comes for the first time
it is cut by the pattern of version 1, which looks past no white space, and its words by the tokenizer's model. Any
other text is the tokenizer's. A test holds both equal on texts of all kinds.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]

VERSION = 1
"""The normalization whose pattern this is."""

MAX_PIECES = 1 << 16
MAX_PIECE_CHARS = 32
"""Pieces are kept up to this many and this long: what callers can fill stays bounded, at some 10 MB."""

_ADDRESS = "www."

# no sign that a rule of the normalization is about (quotes, addresses, names, tags), none of Unicode's class Sk, and no
# white space but these four
_PLAIN = re.compile(r"[A-Za-z0-9 \t\n\r.,!?;:()\"'$%&*+=#~|\[\]{}\\-]*")
_WORDS = re.compile(r"'(?:s|re|ve|ll|d|m)\b|[a-z]+|[0-9]+|[^\sa-z0-9]+", re.ASCII)
_WORDS_AND_NOT = re.compile(r"[a-z]+?(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|[a-z]+|[0-9]+|[^\sa-z0-9]+", re.ASCII)


class PlainCutter:
    """Pieces that were cut before, by tokenizer; threads may share it, since a piece is only ever cut one way."""

    def __init__(self, cut: Callable[[str], Sequence[int]]) -> None:
        """``cut`` gives the ids of one word as the tokenizer's model cuts it."""
        self._cut = cut
        self._known: dict[str, bytes] = {}
        """The ids of each piece, as the bytes of int64: those of a text are then joined and read in one go.

        A piece in here is plain and no rule of the normalization is about it, so neither is of a text made of such.
        """

    @classmethod
    def of(cls, tokenizer: Tokenizer, normalization: int) -> "PlainCutter | None":
        """Return the cutter for a tokenizer, ``None`` where it does more with a text than this knows of."""
        added = tokenizer.get_added_tokens_decoder().values()
        if normalization != VERSION or tokenizer.post_processor is not None or not all(t.special for t in added):
            return None
        return cls(lambda word: [token.id for token in tokenizer.model.tokenize(word)])

    def ids(self, text: str) -> Ids | None:
        """Return the ids int64[T] of a text, which cannot be written to; ``None`` where it is not plain."""
        if _PLAIN.fullmatch(text) is None or "''" in text or _ADDRESS in text:
            return None
        return np.frombuffer(b"".join(map(self._of, text.lower().split())), np.int64)

    def recalled(self, texts: Sequence[str]) -> list[Ids] | None:
        """Return the ids of texts all of whose pieces were cut before, ``None`` where one is of another kind.

        That takes some 20 ns a character. It is one loop without a call of Python a text, for nearly all texts pass it.
        """
        known = self._known.__getitem__
        found: list[Ids] = []
        for text in texts:
            if not text.isascii():
                return None
            try:
                raw = b"".join(map(known, text.lower().split()))
            except KeyError:
                return None
            found.append(np.frombuffer(raw, np.int64))
        return found

    def _of(self, piece: str) -> bytes:
        """Return the ids of a word, or of several that no white space parts."""
        found = self._known.get(piece)
        if found is None:
            words = (_WORDS_AND_NOT if "n't" in piece else _WORDS).findall(piece)
            alone = words == [piece]
            found = np.array(self._cut(piece), np.int64).tobytes() if alone else b"".join(map(self._of, words))
            # of an address in capitals, which is none to the tokenizer, the piece is that of one in small letters
            if len(piece) <= MAX_PIECE_CHARS and len(self._known) < MAX_PIECES and _ADDRESS not in piece:
                self._known[piece] = found
        return found
