"""Pairs of sentences out of pairs of texts: for each sentence of a summary, the document's that says most of it.

So Chen and Bansal 2018 teach a rewriter what to do with an extracted sentence.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from training.summarize.pairs import Pair, sentences

LEAST_SHARED = 0.45
"""Of a summary sentence's words: what shares less was written from elsewhere."""
_WORD = re.compile(r"[\w#]+")


def sentence_pairs(pair: Pair) -> Iterator[Pair]:
    """Give each summary sentence with the sentence of the document that shares most of its words and word pairs."""
    known = [(one, *_grams(one)) for one in sentences(pair.document)]
    for wanted in sentences(pair.summary):
        words, couples = _grams(wanted)
        if not words or not known:
            continue
        best, best_words, _ = max(
            known, key=lambda one: len(words & one[1]) / len(words) + len(couples & one[2]) / max(1, len(couples))
        )
        if len(words & best_words) >= LEAST_SHARED * len(words):
            yield Pair(best, wanted)


def _grams(text: str) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    words = _WORD.findall(text.lower())
    return frozenset(words), frozenset(pairwise(words))
