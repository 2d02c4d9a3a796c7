"""Small problems that a baseline must solve: opinions in two languages, made from words written for this."""

from itertools import product

from training.baselines.protocol import Problem
from training.data import Rows

GOOD, BAD, PLAIN = ("lovely", "superb", "delightful"), ("awful", "dreadful", "boring"), ("blue", "new", "round")
THINGS = ("film", "soup", "chair", "tune", "hotel")
GOOD_ZH, BAD_ZH, THINGS_ZH = (
    ("喜欢", "好极了", "满意"),
    ("讨厌", "糟透了", "失望"),
    ("电影", "汤", "椅子", "歌", "酒店"),
)

ENGLISH = Problem(("negative", "neutral", "positive"), "accuracy", "sentiment", ("en",))
CHINESE = Problem(("negative", "positive"), "accuracy", "sentiment", ("zh",))


def english(*things: str) -> Rows:
    """Return a row of each opinion on each thing."""
    opinions = {"positive": GOOD, "negative": BAD, "neutral": PLAIN}
    return rows(
        [(f"A {word} {thing}.", label) for label, words in opinions.items() for word in words for thing in things]
    )


def chinese(*things: str) -> Rows:
    """Return a row of each opinion on each thing, in Chinese."""
    opinions = {"positive": GOOD_ZH, "negative": BAD_ZH}
    return rows(
        [(f"这{thing}{word}", label) for label, words in opinions.items() for word, thing in product(words, things)]
    )


def rows(pairs: list[tuple[str, str]]) -> Rows:
    """Return pairs of text and label as rows."""
    return Rows([text for text, _ in pairs], [label for _, label in pairs])
