"""Summaries of a split as they are judged, whoever wrote or quoted them: by ROUGE, and by what they are like."""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass

import numpy as np

from training.bootstrap import Interval, of_means
from training.pairs import Pairs
from training.rouge import References, Rouge, scorer
from training.traits import Traits, traits

KEYS = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True)
class Judged:
    """The ROUGE of each row, and what the summaries are like."""

    rows: list[Rouge]
    traits: Traits

    @property
    def rouge(self) -> Rouge:
        """The mean over rows."""
        return Rouge.average(self.rows)

    def figures(self) -> dict[str, float]:
        """Return every figure by name; shares are between 0 and 1."""
        return named(self.rouge) | self.traits.figures()

    def lead(self, theirs: Sequence[Rouge]) -> dict[str, Interval]:
        """Return how far each figure lies above another's on the same rows, with what 95% of resamples give."""
        first, second = (np.array([astuple(one) for one in rows]) for rows in (self.rows, theirs))
        return {key: of_means(first[:, at], second[:, at]) for at, key in enumerate(KEYS)}


def judge(summaries: Sequence[str], pairs: Pairs, language: str, references: References = "mean") -> Judged:
    """Score summaries of a split, in the order of its rows."""
    about = scorer(language)
    rows = [about.score(said, known, references) for said, known in zip(summaries, pairs.references, strict=True)]
    return Judged(rows, traits(pairs.documents, summaries, pairs.references, language))


def named(rouge: Rouge) -> dict[str, float]:
    """Return the three figures by the names that a manifest has for them."""
    return {key: round(value, 6) for key, value in zip(KEYS, astuple(rouge), strict=True)}


def told(lead: dict[str, Interval]) -> dict[str, dict[str, float]]:
    """Return a lead as JSON, in points."""
    return {key: {name: round(100 * value, 2) for name, value in asdict(one).items()} for key, one in lead.items()}
