"""The sentences of a document that come nearest to its summary: labels to learn from, and a bound on all quoting.

Greedy search (Nallapati et al. 2017): the sentence that raises ROUGE most is added until none raises it. An n-gram that
two neighbours share between them is not counted, so that ROUGE-2 here is that of the sentences and not of their text.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[str] | Sequence[int]


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each n-gram of one reference occurs in it, float64[G], and in each sentence, float64[S, G]."""

    reference: NDArray[np.float64]
    sentences: NDArray[np.float64]
    reference_total: int
    sentence_totals: NDArray[np.float64]

    def f(self, chosen: NDArray[np.float64], total: float) -> NDArray[np.float64]:
        """Return the F, float64[S], that each sentence would bring those to whose counts `chosen` float64[G] are."""
        hits = np.minimum(chosen + self.sentences, self.reference).sum(axis=1)  # [S]
        found: NDArray[np.float64] = (
            2 * hits / np.maximum(total + self.sentence_totals + self.reference_total, 1)
        )  # [S]
        return found


def oracle(sentences: Sequence[Tokens], references: Sequence[Tokens], most: int) -> list[int]:
    """Return at most `most` places of sentences in the order of the document; none where none shares a token.

    What is raised is the mean of ROUGE-1 and ROUGE-2 F, over references where there are several.
    """
    if not sentences:
        return []
    counts = [_counted(sentences, reference, size) for reference in references for size in (1, 2)]
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < most:
        found = np.mean(
            [one.f(one.sentences[chosen].sum(axis=0), one.sentence_totals[chosen].sum()) for one in counts], 0
        )
        found[chosen] = -1.0
        at = int(found.argmax())
        if found[at] <= best:
            break
        best = float(found[at])
        chosen.append(at)
    return sorted(chosen)


class SetScorer:
    """Scores sets of a document's sentences by the mean of ROUGE-1 and ROUGE-2 F, many at once."""

    def __init__(
        self, sentences: Sequence[Tokens] | Sequence[NDArray[np.int32]], reference: Tokens | NDArray[np.int32]
    ) -> None:
        said = [list(sentence) for sentence in sentences]
        self._counts = [_counted(said, list(reference), size) for size in (1, 2)]

    def score(self, sets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return float64[K] for the places int64[K, M] of M sentences each."""
        found = []
        for one in self._counts:
            hits = np.minimum(one.sentences[sets].sum(axis=1), one.reference).sum(axis=1)  # [K]
            found.append(2 * hits / np.maximum(one.sentence_totals[sets].sum(axis=1) + one.reference_total, 1))
        mean: NDArray[np.float64] = np.mean(found, axis=0)  # [K]
        return mean


def gains(sentences: Sequence[Tokens], reference: Tokens) -> NDArray[np.float32]:
    """Return the mean of ROUGE-1 and ROUGE-2 F of each sentence alone, float32[S]."""
    if not sentences:
        return np.zeros(0, np.float32)
    counts = [_counted(sentences, reference, size) for size in (1, 2)]
    alone = [one.f(np.zeros(len(one.reference)), 0.0) for one in counts]
    return np.asarray(np.mean(alone, axis=0), dtype=np.float32)  # [S]


def _counted(sentences: Sequence[Tokens], reference: Tokens, size: int) -> _Counts:
    wanted = _grams(reference, size)
    index = {gram: at for at, gram in enumerate(wanted)}
    table = np.zeros((len(sentences), len(wanted)))  # [S, G]
    for row, sentence in enumerate(sentences):
        for gram in _runs(sentence, size):
            if (column := index.get(gram)) is not None:
                table[row, column] += 1
    totals = np.array([max(0, len(sentence) - size + 1) for sentence in sentences], dtype=np.float64)  # [S]
    return _Counts(np.array(list(wanted.values()), dtype=np.float64), table, sum(wanted.values()), totals)


def _grams(tokens: Tokens, size: int) -> Counter[tuple[str | int, ...]]:
    return Counter(_runs(tokens, size))


def _runs(tokens: Tokens, size: int) -> "zip[tuple[str | int, ...]]":
    return zip(*(tokens[at:] for at in range(size)), strict=False)
