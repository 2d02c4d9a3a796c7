"""The sentences of a document that come nearest to its summary: labels to learn from, and a bound on all quoting.

Greedy search (Nallapati et al. 2017): the sentence that raises ROUGE most is added until none raises it. An n-gram that
two neighbours share between them is not counted, so that ROUGE-2 here is that of the sentences and not of their text.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[str]
Ints = NDArray[np.int64]
Numbers = NDArray[np.int32] | Ints
Floats = NDArray[np.float64]
SIZES = (1, 2)
_BASE = 1 << 31
"""Above any token's number, so that a pair of tokens is one number."""


class Counts:
    """How often each n-gram of a summary occurs in it, float64[G], and in each of a document's sentences [S, G]."""

    def __init__(self, sentences: Sequence[Numbers], reference: Numbers, size: int) -> None:
        grams, places = _grams(sentences, size)
        wanted, counts = np.unique(_grams([reference], size)[0], return_counts=True)  # [G], [G]
        self.reference = counts.astype(np.float64)  # [G]
        self.reference_total = float(counts.sum())
        self.totals = np.bincount(places, minlength=len(sentences)).astype(np.float64)  # [S]
        columns = np.minimum(np.searchsorted(wanted, grams), max(0, len(wanted) - 1))
        hits = wanted[columns] == grams if len(wanted) else np.zeros(len(grams), bool)
        cells = places[hits] * len(wanted) + columns[hits]
        table = np.bincount(cells, minlength=len(sentences) * len(wanted)).astype(np.float64)
        self.sentences: Floats = table.reshape(len(sentences), len(wanted))  # [S, G]

    def f(self, chosen: Floats, total: Floats) -> Floats:
        """Return the F, float64[K], of sets of sentences with these counts float64[K, G] and totals float64[K]."""
        hits = np.minimum(chosen, self.reference).sum(axis=1)  # [K]
        found: Floats = 2 * hits / np.maximum(total + self.reference_total, 1)  # [K]
        return found


class SetScorer:
    """Scores sets of a document's sentences by the mean of ROUGE-1 and ROUGE-2 F, many at once.

    Tokens are whole numbers from 0 up; with several references the mean over them is taken.
    """

    def __init__(self, sentences: Sequence[Numbers], references: Sequence[Numbers]) -> None:
        self.size = len(sentences)
        self._counts = [Counts(sentences, reference, size) for reference in references for size in SIZES]

    def score(self, sets: Ints) -> Floats:
        """Return float64[K] for the places int64[K, M] of M sentences each."""
        return self._mean(one.f(one.sentences[sets].sum(axis=1), one.totals[sets].sum(axis=1)) for one in self._counts)

    def added_to(self, chosen: Sequence[int]) -> Floats:
        """Return float64[S]: what the set would score with each sentence added to it."""
        places = list(chosen)
        return self._mean(
            one.f(one.sentences + one.sentences[places].sum(axis=0), one.totals + one.totals[places].sum())
            for one in self._counts
        )

    def alone(self) -> Floats:
        """Return float64[S]: what each sentence scores alone."""
        return self.added_to([])

    def greedy(self, most: int) -> list[int]:
        """Return at most `most` places in the order of the document; none where none shares a token."""
        chosen: list[int] = []
        best = 0.0
        while len(chosen) < min(most, self.size):
            found = self.added_to(chosen)
            found[chosen] = -1.0
            at = int(found.argmax())
            if found[at] <= best:
                break
            best = float(found[at])
            chosen.append(at)
        return sorted(chosen)

    @staticmethod
    def _mean(figures: Iterable[Floats]) -> Floats:
        found: Floats = np.mean(list(figures), axis=0)
        return found


def oracle(sentences: Sequence[Tokens], references: Sequence[Tokens], most: int) -> list[int]:
    """Return at most `most` places of sentences in the order of the document; none where none shares a token.

    What is raised is the mean of ROUGE-1 and ROUGE-2 F, over references where there are several.
    """
    numbers: dict[str, int] = {}

    def numbered(tokens: Tokens) -> Ints:
        return np.array([numbers.setdefault(token, len(numbers)) for token in tokens], dtype=np.int64)

    return SetScorer([numbered(one) for one in sentences], [numbered(one) for one in references]).greedy(most)


def _grams(sentences: Sequence[Numbers], size: int) -> tuple[Ints, Ints]:
    """Return every token, or pair of them, of the sentences as one number, and its sentence's place; both int64[N]."""
    places = np.repeat(np.arange(len(sentences)), [len(one) for one in sentences])
    tokens = np.concatenate(sentences).astype(np.int64) if len(sentences) else np.zeros(0, np.int64)
    if size == 1 or not len(tokens):
        return tokens, places
    within = places[:-1] == places[1:]
    return (tokens[:-1] * _BASE + tokens[1:])[within], places[1:][within]
