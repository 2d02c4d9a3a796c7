"""Texts to ask about: made here, so that a measurement needs no data set and is the same everywhere."""

import random

_CLAUSES = [
    "the plot is thin but the acting carries it",
    "a warm and funny film with a big heart",
    "i would not buy this phone again",
    "the battery died within a week",
    "service was slow and the food arrived cold",
    "quarterly profit rose on strong demand",
    "the company said it will publish its report on monday",
    "great value and it works exactly as described",
    "the ending feels rushed and the jokes fall flat",
    "we stayed two nights and the room was spotless",
    "sound quality is fine for the price",
    "it never quite decides what it wants to be",
]
CHINESE = ["房间很干净，服务也好。", "电池用了一周就坏了，再也不买了。", "剧情一般，演员还不错，值得一看。"]
"""Short texts for the Chinese packages."""
_SHORT_CLAUSES = 2
_LONG_CLAUSES = 20
_MIXED_MEDIAN_WORDS, _MIXED_SIGMA, _MIXED_MAX_WORDS = 25, 1.1, 1000


def texts(kind: str, count: int = 2000, seed: int = 20261120) -> list[str]:
    """Return texts of one kind: ``short`` (about 16 words), ``long`` (160), ``mixed`` (log-normal, median 25)."""
    numbers = random.Random(seed)  # noqa: S311 - a reproducible load, no secret
    return [_text(kind, numbers) for _ in range(count)]


def of_words(words: int, count: int = 500, seed: int = 20261121) -> list[str]:
    """Return texts of exactly so many words."""
    numbers = random.Random(seed)  # noqa: S311 - a reproducible load, no secret
    return [_of_words(words, numbers) for _ in range(count)]


def _text(kind: str, numbers: random.Random) -> str:
    if kind == "mixed":
        words = min(_MIXED_MAX_WORDS, max(1, round(numbers.lognormvariate(0, _MIXED_SIGMA) * _MIXED_MEDIAN_WORDS)))
        return _of_words(words, numbers)
    return _clauses(_SHORT_CLAUSES if kind == "short" else _LONG_CLAUSES, numbers)


def _of_words(words: int, numbers: random.Random) -> str:
    return " ".join(_clauses(words // 4 + 1, numbers).split()[:words])


def _clauses(count: int, numbers: random.Random) -> str:
    return ", and ".join(numbers.choices(_CLAUSES, k=count)) + "."
