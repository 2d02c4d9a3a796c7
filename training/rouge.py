"""ROUGE (Lin 2004) of summaries: F of ROUGE-1, -2 and -L, by the library `rouge-score`, in words or in characters.

English is cut as the library cuts it, into lower-case words and numerals stemmed by Porter's rules. Chinese is scored
by character: every sign that is not white space is a token, a Latin letter, a digit or a full stop as much as a Han
character, because that is how the anchors for these sets were measured.
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache, lru_cache
from typing import Literal, Self

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize
from rouge_score.tokenizers import Tokenizer

NAME = "rouge-score"
References = Literal["mean", "max", "first"]
"""What several references of one document come to: the mean of their figures, the best one, or the first one's."""

_TYPES = ("rouge1", "rouge2", "rougeL")
_STEMS = 1 << 17
UNSPACED = frozenset({"zh"})


@dataclass(frozen=True, slots=True)
class Rouge:
    """F of ROUGE-1, ROUGE-2 and ROUGE-L, each between 0 and 1."""

    r1: float
    r2: float
    rl: float

    @property
    def mean(self) -> float:
        """The three in one number, to choose by."""
        return (self.r1 + self.r2 + self.rl) / 3

    @classmethod
    def average(cls, scores: "Sequence[Rouge]") -> Self:
        """Return the mean of each figure over documents."""
        return cls(*(math.fsum(column) / len(scores) for column in zip(*map(astuple, scores), strict=True)))


class Words(Tokenizer):  # type: ignore[misc]
    """The library's own English tokens, with every stem worked out once."""

    def __init__(self) -> None:
        self.stem = lru_cache(_STEMS)(PorterStemmer().stem)

    def tokenize(self, text: str) -> list[str]:
        """Return the stems of words of more than three letters, and shorter words and numerals as they are."""
        tokens: list[str] = tokenize(text, self)
        return tokens


class Characters(Tokenizer):  # type: ignore[misc]
    """Every sign that is not white space, in lower case."""

    def tokenize(self, text: str) -> list[str]:
        """Return the text's characters."""
        return [character for character in text.lower() if not character.isspace()]


class Scorer:
    """Scores summaries of one language."""

    def __init__(self, language: str) -> None:
        self.tokenizer: Tokenizer = Characters() if language in UNSPACED else Words()
        self._scorer = RougeScorer(list(_TYPES), tokenizer=self.tokenizer)

    def score(self, summary: str, references: Sequence[str], combine: References = "mean") -> Rouge:
        """Return a summary's figures against its references."""
        if not references:
            raise ValueError("references: none of them; expected at least one")
        used = references[:1] if combine == "first" else references
        found = [self._one(summary, reference) for reference in used]
        if combine != "max":
            return Rouge.average(found)
        return Rouge(*(max(column) for column in zip(*map(astuple, found), strict=True)))

    def _one(self, summary: str, reference: str) -> Rouge:
        found = self._scorer.score(reference, summary)
        return Rouge(*(float(found[kind].fmeasure) for kind in _TYPES))


@cache
def scorer(language: str) -> Scorer:
    """Return the scorer of a language, one a process, with the stems that it has seen."""
    return Scorer(language)
