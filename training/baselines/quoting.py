"""Summaries without a model: the beginning of a document, its longest sentences, its most central ones, its best ones.

They are the baselines of summarization. Nothing here is fitted, so that test splits may be read; the oracle alone looks
at the references, and bounds what any choice of whole sentences can reach.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from app.text.sentences import sentences
from training.conventions import Convention
from training.oracle import oracle
from training.rouge import UNSPACED, scorer

# A stop, then white space: how the anchors' sentences were cut, abbreviations and all.
PLAIN = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


@dataclass(frozen=True)
class Document:
    """One document, cut into the units that may be quoted."""

    text: str
    references: tuple[str, ...]
    language: str
    dialogue: bool

    @cached_property
    def units(self) -> list[str]:
        """Turns of a dialogue, sentences of anything else."""
        return cut(self.text, self.language, dialogue=self.dialogue)

    @cached_property
    def tokens(self) -> list[list[str]]:
        """Each unit as ROUGE reads it."""
        read = scorer(self.language).tokenizer.tokenize
        return [read(unit) for unit in self.units]

    def join(self, places: Sequence[int]) -> str:
        """Return units as one text, in the order of the document."""
        return joined([self.units[at] for at in sorted(places)], self.language)


@dataclass(frozen=True, slots=True)
class Quoting:
    """One way to quote, by its name on the command line and in the manifest, and its title in a table."""

    name: str
    title: str
    quote: Callable[[Document], str]


def cut(text: str, language: str, *, dialogue: bool) -> list[str]:
    """Return the turns or the sentences of a text, without the white space around them."""
    if dialogue:
        return [line.strip() for line in text.splitlines() if line.strip()]
    return [text[one.start : one.end] for one in sentences(text, language)]


def joined(pieces: Sequence[str], language: str) -> str:
    """Return pieces as one text."""
    return ("" if language in UNSPACED else " ").join(pieces)


def quotings(about: Convention) -> list[Quoting]:
    """Return the baselines of a set, the one that it is held against among them; the oracle comes last."""
    many, spaced = about.sentences, about.language not in UNSPACED
    firsts, unit = ((8, 10), "words") if spaced else ((20, 30), "characters")
    leads = sorted({1, 2, 3, many})
    return [
        *(Quoting(f"lead-{one}", f"Lead-{one}", _lead(one)) for one in leads),
        Quoting(f"plain-{many}", f"Lead-{many}, plain stops", _plain(many)),
        Quoting(f"longest-{many}", f"longest {many}", _longest(many)),
        *(Quoting(f"first-{one}", f"first {one} {unit}", _first(one)) for one in firsts),
        Quoting("whole", "whole document", lambda document: document.text),
        Quoting(
            "textrank", "TextRank", lambda document: document.join(text_rank(document.units, document.tokens, many))
        ),
        Quoting("oracle", "oracle", lambda document: document.join(_best(document, many))),
    ]


def text_rank(units: Sequence[str], tokens: Sequence[Sequence[str]], most: int) -> list[int]:
    """Return the places of the `most` units that are likest to all others (Mihalcea and Tarau 2004).

    PageRank over a graph whose edges weigh the cosine of TF-IDF vectors, as in LexRank (Erkan and Radev 2004); earlier
    units come first among equals.
    """
    if len(units) <= most or not any(tokens):
        return list(range(len(units)))[:most]
    weights = TfidfVectorizer(analyzer=lambda at: tokens[at], sublinear_tf=True).fit_transform(range(len(units)))
    likeness = (weights @ weights.T).toarray()  # [units, units]
    np.fill_diagonal(likeness, 0.0)  # or one that is like no other would keep its own vote
    ranks = nx.pagerank(nx.from_numpy_array(likeness), max_iter=500, tol=1e-4)
    return sorted(range(len(units)), key=lambda at: (-round(ranks[at], 9), at))[:most]


def _lead(count: int) -> Callable[[Document], str]:
    return lambda document: document.join(range(min(count, len(document.units))))


def _plain(count: int) -> Callable[[Document], str]:
    def quote(document: Document) -> str:
        pieces = [piece for piece in PLAIN.split(document.text) if piece and not piece.isspace()]
        return joined(pieces[:count], document.language)

    return quote


def _longest(count: int) -> Callable[[Document], str]:
    def quote(document: Document) -> str:
        order = sorted(range(len(document.units)), key=lambda at: (-len(document.units[at]), at))
        return document.join(order[:count])

    return quote


def _first(count: int) -> Callable[[Document], str]:
    def quote(document: Document) -> str:
        if document.language in UNSPACED:
            return document.text[:count]
        return " ".join(document.text.split()[:count])

    return quote


def _best(document: Document, most: int) -> list[int]:
    read = scorer(document.language).tokenizer.tokenize
    return oracle(document.tokens, [read(one) for one in document.references], most)
