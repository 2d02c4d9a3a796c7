"""Cuts a text at its single spaces, where its tokenizer would cut what stands between on its own.

So it is with most words in version 3 of the normalization, and with all in byte-level tokenizers of GPT-2's kind, which
foreign packages bring. A piece is cut once, by the tokenizer itself, and looked up from then on: a text whose pieces
are known costs a tenth. A test holds both equal on texts of all kinds.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from tokenizers import Tokenizer

from app.modelpack.plain import MAX_PIECE_CHARS, MAX_PIECES, Ids

VERSION = 3
"""The normalization that ``_JOINED`` is about."""

# no sign before which white space goes (a full stop, a clitic), none after which it does, no quotes that become others
_JOINED = re.compile(r"(?!n't|\S*'')[\"#$&(*+\-/0-9<=>@a-z\[\\^_{|~][!-_a-z{|}~]*(?<![(\[{])")
_ANY = re.compile(r"[!-~]+")
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}
_IDLE_ON_ASCII, _LOWERCASE = {"NFC", "NFD", "NFKC", "NFKD"}, "Lowercase"

_NEW_PIECES = 8
"""Cut alone, a piece costs as much as a line of text: a text has so many new ones cut and is the tokenizer's."""


class SpacedCutter:
    """Pieces that were cut before, by tokenizer; threads may share it, since a piece is only ever cut one way."""

    def __init__(self, tokenizer: Tokenizer, alone: re.Pattern[str], fold: Callable[[str], str]) -> None:
        """``alone``: the pieces that are cut on their own, once ``fold`` did to them what normalizing does."""
        self._tokenizer = tokenizer
        self._alone = alone
        self._fold = fold
        self._known: dict[str, bytes] = {}
        """The ids of each piece, as the bytes of int64."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, normalization: int) -> Self | None:
        """Return the cutter for a tokenizer, ``None`` where it does more with a text than this knows of."""
        added = tokenizer.get_added_tokens_decoder().values()
        if tokenizer.post_processor is not None or not all(token.special for token in added):
            return None
        if normalization == VERSION:
            return cls(tokenizer, _JOINED, str.lower)
        normalizers = _parts(tokenizer.normalizer, "normalizers")
        if _is_byte_level(tokenizer) and normalizers <= {*_IDLE_ON_ASCII, _LOWERCASE}:
            return cls(tokenizer, _ANY, str.lower if _LOWERCASE in normalizers else str)
        return None

    def ids(self, text: str) -> Ids | None:
        """Return the ids int64[T] of a text, which cannot be written to; ``None`` where the tokenizer is to cut it."""
        if not text.isascii():
            return None
        pieces = self._fold(text).split(" ")
        new = [piece for piece in dict.fromkeys(pieces) if piece not in self._known]
        if not all(map(self._may_keep, new)):
            return None
        self._learn(new[:_NEW_PIECES])
        if len(new) > _NEW_PIECES:
            return None
        return np.frombuffer(b"".join(map(self._known.__getitem__, pieces)), np.int64)

    def recalled(self, texts: Sequence[str]) -> list[Ids] | None:
        """Return the ids of texts all of whose pieces were cut before, ``None`` where one is of another kind.

        That takes some 20 ns a character.
        """
        known, fold = self._known.__getitem__, self._fold
        found: list[Ids] = []
        for text in texts:
            if not text.isascii():
                return None
            try:
                raw = b"".join(map(known, fold(text).split(" ")))
            except KeyError:
                return None
            found.append(np.frombuffer(raw, np.int64))
        return found

    def _may_keep(self, piece: str) -> bool:
        return (
            len(piece) <= MAX_PIECE_CHARS and len(self._known) < MAX_PIECES and self._alone.fullmatch(piece) is not None
        )

    def _learn(self, pieces: list[str]) -> None:
        for piece, cut in zip(pieces, self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False), strict=True):
            self._known[piece] = np.array(cut.ids, np.int64).tobytes()


def _is_byte_level(tokenizer: Tokenizer) -> bool:
    if tokenizer.pre_tokenizer is None:
        return False
    state = json.loads(tokenizer.pre_tokenizer.__getstate__())
    return bool(state.items() >= _BYTE_LEVEL.items())


def _parts(normalizer: Any, name: str) -> set[str]:
    """Return the types of what a normalizer is made of."""
    if normalizer is None:
        return set()
    state = json.loads(normalizer.__getstate__())
    return {part["type"] for part in state.get(name, [state])}
