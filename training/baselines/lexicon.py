"""Sentiment by libraries that never saw our rows: VADER for English, SnowNLP for Chinese. Nothing is chosen on dev."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from training.baselines.protocol import Fitted, Problem
from training.data import Rows

Sentiment = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class LexiconBaseline:
    """A score of a text and the two thresholds that part it: `low` and below is negative, `high` and above positive.

    A set without neutral has the middle of the scale for a threshold, and a text that stands right on it, for want of
    any word that the lexicon knows, counts as positive.
    """

    name: str
    title: str
    library: str
    language: str
    low: float
    high: float
    middle: float
    open: Callable[[], Sentiment]

    def settings(self, problem: Problem) -> Mapping[str, Any]:
        """Return the thresholds."""
        return self._thresholds(problem)

    def applies(self, problem: Problem) -> bool:
        """Sentiment in its one language."""
        return problem.task == "sentiment" and problem.languages == (self.language,)

    def fit(self, train: Rows, dev: Rows, problem: Problem) -> Fitted:  # noqa: ARG002 - the protocol's; untrained
        """Open the library; the rows are left alone."""
        sentiment = self.open()
        thresholds = self._thresholds(problem)
        neutral = "neutral" in problem.labels

        def decide(text: str) -> str:
            found = sentiment(text)
            if not neutral:
                return "positive" if found >= self.middle else "negative"
            if found >= self.high:
                return "positive"
            return "negative" if found <= self.low else "neutral"

        return Fitted(dict(thresholds), lambda texts: [decide(text) for text in texts])

    def _thresholds(self, problem: Problem) -> dict[str, float]:
        if "neutral" in problem.labels:
            return {"negative_to": self.low, "positive_from": self.high}
        return {"positive_from": self.middle}


def _open_vader() -> Sentiment:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - optional

    analyzer = SentimentIntensityAnalyzer()
    return lambda text: float(analyzer.polarity_scores(text)["compound"])


def _open_snownlp() -> Sentiment:
    from snownlp import sentiment  # noqa: PLC0415 - optional, and it reads 30 MB of tables

    return lambda text: float(sentiment.classify(text))


# Hutto and Gilbert 2014; the thresholds are those that VADER's authors publish for its compound score, -1 to 1.
VADER = LexiconBaseline("vader", "VADER", "vaderSentiment", "en", -0.05, 0.05, 0.0, _open_vader)
# SnowNLP gives the probability of positive and knows no neutral: the middle third of the scale is taken for it.
SNOWNLP = LexiconBaseline("snownlp", "SnowNLP", "snownlp", "zh", 1 / 3, 2 / 3, 0.5, _open_snownlp)
