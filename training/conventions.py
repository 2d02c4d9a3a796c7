"""What is known of each summarization set before anyone trains on it: language, form, and what it is held against.

The anchors stand in the order ROUGE-1, -2, -L, in per cent of the test split, means over references where there are
several. A set that is not listed is taken for prose of the language of its script, three sentences to a summary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.text.language import detect

Figures = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Convention:
    """One set's habits.

    `sentences` is how many of them are quoted for a summary. A dialogue is cut into turns, a line each, anything else
    into sentences. `lead` names the baseline that the set is held against.
    """

    language: str
    sentences: int
    lead: str
    dialogue: bool = False
    must_beat: Mapping[str, Figures] = field(default_factory=dict)
    goal: Figures = ()


SETS: Mapping[str, Convention] = {
    "cnn_dailymail": Convention("en", 3, "lead-3", must_beat={"Lead-3": (34.4, 14.3, 22.6)}, goal=(36.4, 15.5)),
    "inshorts_article": Convention(
        "en", 2, "lead-2", must_beat={"Lead-2": (44.6, 24.2, 32.7)}, goal=(48.0, 27.0, 36.0)
    ),
    "samsum": Convention(
        "en",
        3,
        "longest-3",
        dialogue=True,
        must_beat={"longest-3": (31.3, 9.9), "published pointer-generator": (40.1, 15.3)},
        goal=(40.5, 15.5),
    ),
    "dialogsum": Convention(
        "en", 3, "lead-3", dialogue=True, must_beat={"Lead-3": (27.1, 6.5, 21.1)}, goal=(36.0, 9.0, 30.0)
    ),
    "inshorts_headline": Convention(
        "en", 1, "lead-1", must_beat={"first sentence": (42.1, 20.0, 35.3)}, goal=(46.0, 22.0, 42.0)
    ),
    "gigaword_10k": Convention(
        "en", 1, "whole", must_beat={"the sentence": (23.8, 7.8, 20.4)}, goal=(28.0, 11.0, 26.0)
    ),
    "duc2004_task1": Convention(
        "en", 1, "whole", must_beat={"the sentence": (24.0, 7.4, 19.8)}, goal=(26.0, 8.5, 23.0)
    ),
    "reuters_headline": Convention(
        "en", 1, "first-10", must_beat={"first 10 words": (27.5, 10.0, 26.2)}, goal=(42.0, 22.0, 40.0)
    ),
    "aeslc": Convention("en", 1, "lead-1", must_beat={"first sentence": (21.7, 10.6, 19.6)}, goal=(26.0, 13.0, 25.0)),
    "scitldr_a": Convention("en", 1, "lead-2", must_beat={"Lead-2": (23.5, 6.0, 16.5)}, goal=(30.0, 10.0, 24.0)),
    "lcsts_part2": Convention(
        "zh", 1, "lead-1", must_beat={"first sentence": (22.9, 12.5, 19.4)}, goal=(30.0, 17.0, 27.0)
    ),
    "csl_title": Convention(
        "zh", 1, "first-20", must_beat={"first 20 characters": (35.8, 25.2, 31.8)}, goal=(42.0, 30.0, 38.0)
    ),
    "cmedical_question_title": Convention("zh", 1, "lead-1"),
    "sohu_headline": Convention("zh", 1, "first-20"),
}


def convention(name: str, documents: Sequence[str]) -> Convention:
    """Return what is known of a set, or what its first document says where nothing is."""
    if name in SETS:
        return SETS[name]
    return Convention(detect(documents[0]) or "en", 3, "lead-3")
