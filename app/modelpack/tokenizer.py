"""A package's tokenizer: text -> ids with character offsets into the caller's own text, and ids -> pieces."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from tokenizers import Tokenizer

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.normalize import normalization, versions
from app.modelpack.plain import Ids, PlainCutter
from app.modelpack.spaced import SpacedCutter

Cutter = PlainCutter | SpacedCutter


@dataclass(slots=True)
class Tokens:
    """One text as the model reads it: ``ids`` int64[T]."""

    ids: Ids
    truncated: bool
    known: bool
    """Whether one of the ids at least is not the unknown token."""
    offsets: list[tuple[int, int]] | None
    """Each token's half-open character span in the caller's text, where it was asked for."""


class TextTokenizer:
    """Cuts texts for one package; safe to share between threads, since it never changes once made."""

    def __init__(self, tokenizer: Tokenizer, unk_id: int, max_tokens: int, plain: Cutter | None = None) -> None:
        """``plain`` cuts those texts that it can, where no offsets are asked for."""
        self._tokenizer = tokenizer
        self._plain = plain
        self._unk_id = unk_id
        self._max_tokens = max_tokens

    @classmethod
    def from_json(cls, raw: bytes, spec: schema.Tokenizer, max_tokens: int) -> Self:
        """Open tokenizer.json; ``PackageError`` where it is unlike its manifest or this release's normalization."""
        # Handing one short text to a pool of threads costs more than cutting it, and the variable is the only switch.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            tokenizer = Tokenizer.from_buffer(raw)
        except Exception as broken:  # tokenizers raises bare Exception
            raise PackageError(
                spec.file, f"unreadable ({broken})", "a tokenizer.json of Hugging Face tokenizers"
            ) from broken
        _check(tokenizer, spec)
        tokenizer.encode_special_tokens = True  # a caller's "<s>" is three signs, not the token
        tokenizer.no_padding()
        tokenizer.no_truncation()
        plain: Cutter | None = PlainCutter.of(tokenizer, spec.normalization)
        return cls(tokenizer, spec.unk_id, max_tokens, plain or SpacedCutter.of(tokenizer, spec.normalization))

    def encode(self, texts: Sequence[str], *, with_offsets: bool = False) -> list[Tokens]:
        """Return one ``Tokens`` a text, in order; ids beyond the package's ``max_tokens`` are cut off at the end."""
        if with_offsets:
            rows = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
            return [self._tokens(_array(row.ids), row.offsets) for row in rows]
        found = self._plain.recalled(texts) if self._plain is not None else None
        return [self._tokens(ids) for ids in (self._cut(texts) if found is None else found)]

    def recall(self, texts: Sequence[str]) -> list[Tokens] | None:
        """Return what ``encode`` does where each text is plain English made of words that were cut before, else none.

        That takes a small part of the time, so that an event loop may do it with more of them.
        """
        found = self._plain.recalled(texts) if self._plain is not None else None
        return found if found is None else [self._tokens(ids) for ids in found]

    def pieces(self) -> list[str]:
        """Return each id's piece, in order: what a summary is put together from."""
        known = {number: piece for piece, number in self._tokenizer.get_vocab(with_added_tokens=True).items()}
        return [known.get(number, "") for number in range(len(known))]

    def _cut(self, texts: Sequence[str]) -> list[Ids]:
        """Cut each text, by the tokenizer, in one call of it, those that are not plain."""
        plain = [self._plain.ids(text) if self._plain is not None else None for text in texts]
        left = [text for text, ids in zip(texts, plain, strict=True) if ids is None]
        rest = iter(self._tokenizer.encode_batch_fast(left, add_special_tokens=False) if left else ())
        return [_array(next(rest).ids) if ids is None else ids for ids in plain]

    def _tokens(self, whole: Ids, offsets: list[tuple[int, int]] | None = None) -> Tokens:
        truncated = len(whole) > self._max_tokens
        kept = whole[: self._max_tokens] if truncated else whole
        known = len(kept) > 0 and (kept.item(0) != self._unk_id or bool((kept != self._unk_id).any()))
        return Tokens(kept, truncated, known, offsets if offsets is None else offsets[: self._max_tokens])


def _array(ids: list[int]) -> Ids:
    return np.fromiter(ids, np.int64, len(ids))  # [T]


def _check(tokenizer: Tokenizer, spec: schema.Tokenizer) -> None:
    if spec.normalization not in versions():
        raise PackageError(
            schema.FILE,
            f"tokenizer.normalization is {spec.normalization}",
            f"one of {versions()}, which this release knows",
        )
    known = normalization(spec.normalization)
    for part, want in (("normalizer", known.normalizer), ("pre_tokenizer", known.pre_tokenizer)):
        have = getattr(tokenizer, part)
        if have is None or have.__getstate__() != want.__getstate__():
            raise PackageError(
                spec.file, f"its {part} differs", f"the {part} of normalization version {spec.normalization}"
            )
    size = _vocab_size(tokenizer)
    if size != spec.vocab_size:
        raise PackageError(spec.file, f"{size} tokens", f"{spec.vocab_size} as the manifest says")
    if max(spec.pad_id, spec.unk_id) >= size:
        raise PackageError(schema.FILE, f"pad id {spec.pad_id}, unknown id {spec.unk_id}", f"ids below {size}")


def _vocab_size(tokenizer: Tokenizer) -> int:
    """Return how many tokens there are, added ones included, without the table of them all that the library makes."""
    model, added = tokenizer.model, tokenizer.get_added_tokens_decoder().values()
    own = sum(model.token_to_id(token.content) is None for token in added)
    return int(tokenizer.get_vocab_size(with_added_tokens=False)) + own
