"""ROUGE of the greedy summaries that a stage is watched by: `rouge-score`, by character where words are not spaced."""

from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Any

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

TYPES = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True)
class Rouge:
    """F of ROUGE-1, -2 and -L, each between 0 and 1."""

    r1: float
    r2: float
    rl: float

    @property
    def mean(self) -> float:
        """The three in one number, to choose by."""
        return (self.r1 + self.r2 + self.rl) / 3


class _Characters(Tokenizer):  # type: ignore[misc]
    def tokenize(self, text: str) -> list[str]:
        return [sign for sign in text.lower() if not sign.isspace()]


@cache
def _scorer(language: str) -> Any:
    if language == "zh":
        return RougeScorer(list(TYPES), tokenizer=_Characters())
    return RougeScorer(list(TYPES), use_stemmer=True)


def rouge(summary: str, reference: str, language: str) -> Rouge:
    """Return a summary's figures."""
    found = _scorer(language).score(reference, summary)
    return Rouge(*(float(found[one].fmeasure) for one in TYPES))


def average(scores: list[Rouge]) -> Rouge:
    """Return the mean of each figure over documents."""
    return Rouge(fmean(one.r1 for one in scores), fmean(one.r2 for one in scores), fmean(one.rl for one in scores))
