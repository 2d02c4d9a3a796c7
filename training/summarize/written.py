"""Summaries by a packed model, through the code that serves it: tokenizer, graphs, beam search, text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.modelpack.manifest import Precision
from app.modelpack.store import latest, open_package
from app.modelpack.tokenizer import Tokens
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.roster import Draft, Roster
from app.runtime.summarizer import Summarizer
from app.tasks.detokenize import Detokenizer, Source, Spelling
from app.tasks.generate import Options, Summary
from app.tasks.numerals import Numerals
from app.tasks.searches import Searches, generate
from training.errors import DataError
from training.summarize.config import Kind

ROWS = 16
COPIED = 0.5
"""A token is said to be copied where more than this share of its probability comes from copying."""


@dataclass(frozen=True, slots=True)
class Written:
    """A summary: its text, its tokens' ids, whether each was copied, and whether it ended by itself."""

    text: str
    ids: list[int]
    copied: list[bool]
    ended: bool


def open_writer(path: Path, precision: Precision | None = None) -> Summarizer:
    """Open a package, <models>/<name>/<version> or <models>/<name>; `DataError` where it is none that writes."""
    folder = path if (path / "manifest.json").exists() else latest(path)
    model = open_model(open_package(folder), choose("cpu"), precision or "auto")
    if not isinstance(model, Summarizer):
        raise DataError(f"{path}: task {model.manifest.task!r}, expected a package that writes")
    return model


def options_of(model: Summarizer, kind: Kind) -> Options:
    """Return what the package does by default for a kind."""
    wanted, generation = model.generation.kinds[kind], model.generation
    return Options(
        max_tokens=int(wanted.max_tokens.default),
        min_tokens=int(wanted.min_tokens.default),
        beams=int(wanted.beams.default),
        length_penalty=float(wanted.length_penalty.default),
        coverage_penalty=generation.coverage_penalty,
        block_ngram=generation.block_ngram,
    )


def write(
    model: Summarizer, texts: Sequence[str], kind: Kind, options: Options | None = None, *, free: bool | None = None
) -> list[Written]:
    """Return the texts' summaries in their order; a text without any token has an empty one."""
    wanted = options or options_of(model, kind)
    freedom = not model.generation.digit_ids_only_copied if free is None else free
    tokens = model.tokenizer.encode(texts, with_offsets=True)
    pieces = model.tokenizer.pieces()
    # Near in length together, so that few columns are padding.
    order = [at for at in np.argsort([len(one.ids) for one in tokens], kind="stable") if len(tokens[at].ids)]
    work = [(Draft(tokens[at].ids, kind, free=freedom), wanted, _numerals(model, tokens[at], freedom)) for at in order]
    roster = Roster(model, wanted.beams, wanted.candidates)
    searches = Searches(roster, wanted.beams, model.bos_id, model.eos_id)
    found = [Written("", [], [], ended=False)] * len(texts)
    for place, summary in generate(searches, work, ROWS):
        at = int(order[place])
        found[at] = _written(model, texts[at], tokens[at], summary, pieces)
    return found


def habits(written: Sequence[Written]) -> dict[str, float]:
    """Return the shares of tokens that were copied, and of summaries that ended by themselves."""
    tokens = sum(len(one.ids) for one in written)
    return {
        "copied": round(sum(sum(one.copied) for one in written) / max(1, tokens), 6),
        "ended": round(sum(one.ended for one in written) / max(1, len(written)), 6),
    }


def _numerals(model: Summarizer, tokens: Tokens, free: bool) -> Numerals | None:  # noqa: FBT001 - private
    return None if free else Numerals(tokens.ids, model.signs, cut=tokens.truncated)


def _written(model: Summarizer, text: str, tokens: Tokens, summary: Summary, pieces: Sequence[str]) -> Written:
    source = Source(text, tokens.offsets or [], Spelling(text))
    detokenizer = Detokenizer(pieces, model.manifest.tokenizer.unk_id, source, recase=model.generation.recase)
    copied = [token.copied > COPIED for token in summary.tokens]
    said = [
        detokenizer.add(token.id, token.source if own else None)
        for token, own in zip(summary.tokens, copied, strict=True)
    ]
    return Written(
        "".join([*said, detokenizer.end()]), [token.id for token in summary.tokens], copied, summary.reason == "eos"
    )
