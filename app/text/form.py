"""What form a text has, and how to summarize it where the caller leaves that open."""

import re
from typing import Literal, NamedTuple

Method = Literal["abstractive", "extractive", "extract-then-rewrite"]
AskedMethod = Literal["auto", "abstractive", "extractive"]
Kind = Literal["headline", "dialogue", "abstract"]
AskedKind = Literal["auto", Kind]

_TURN = re.compile(r"\s*(?:\[[^\]\n]{1,20}\]\s*)?[^\s:：][^:：\n]{0,39}?\s?[:：](?!//)\s*\S")
"""A line such as "Amanda: yes", "#Person1#: yes", "[10:02] Tom B.: yes", "小王：好"."""
_MAX_NAME_WORDS = 4
_MIN_TURNS = 2
_TURNS_SHARE = 0.6
_HEADLINE_SENTENCES = 6
"""So few sentences say one thing, which a headline can say too; more are worth a sentence for each of their points."""


class Plan(NamedTuple):
    """How a text is summarized; a text that is quoted and not rewritten has no kind."""

    method: Method
    kind: Kind | None


def is_dialogue(text: str) -> bool:
    """Tell whether most lines of ``text``, two at least, are turns of the form "Name: ..."."""
    lines = [line for line in text.splitlines() if line.strip()]
    turns = sum(_is_turn(line) for line in lines)
    return turns >= _MIN_TURNS and turns >= _TURNS_SHARE * len(lines)


def plan(
    text: str,
    sentences: int,
    *,
    fits: bool,
    method: AskedMethod = "auto",
    kind: AskedKind = "auto",
    kinds: frozenset[Kind] = frozenset(),
    quotes: bool = False,
) -> Plan:
    """Return how to summarize ``text``, which has so many ``sentences``.

    ``fits``: the package that writes reads the whole of it. ``kinds`` are those that it writes, none where there is no
    such package; ``quotes``: there is a package that quotes. A method or kind that is asked for is kept to. Left open,
    a dialogue gets a dialogue's summary, a short text a headline, and of a longer one the best sentences are rewritten
    one by one (Chen & Bansal 2018).
    """
    if method == "extractive" or not kinds:
        return Plan("extractive", None)
    open_kind = _kind_of(text, sentences, kinds) if kind == "auto" else kind
    if method == "abstractive" or not quotes or open_kind == "dialogue":
        return Plan("abstractive", open_kind)
    if kind == "auto":
        return Plan("abstractive" if fits and sentences <= _HEADLINE_SENTENCES else "extract-then-rewrite", open_kind)
    return Plan("abstractive" if fits or kind == "headline" else "extract-then-rewrite", kind)


def _kind_of(text: str, sentences: int, kinds: frozenset[Kind]) -> Kind:
    if "dialogue" in kinds and is_dialogue(text):
        return "dialogue"
    wanted: tuple[Kind, ...] = ("headline", "abstract", "dialogue")
    if sentences > _HEADLINE_SENTENCES:
        wanted = ("abstract", "headline", "dialogue")
    return next(kind for kind in wanted if kind in kinds)


def _is_turn(line: str) -> bool:
    found = _TURN.match(line)
    return found is not None and len(re.split(r"[:：]", line, maxsplit=1)[0].split()) <= _MAX_NAME_WORDS
