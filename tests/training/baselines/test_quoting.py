"""What is quoted without a model: beginnings, the longest, the most central, and the best there is."""

import pytest

from training.baselines.quoting import Document, quotings
from training.conventions import SETS, Convention, convention

TEXT = (
    "The river rose on Monday. Dr. Smith saw it. The river rose above the bridge and the town by the river was "
    "flooded. Shops stayed shut."
)
NEWS = Document(TEXT, ("The town by the river was flooded.",), "en", dialogue=False)
CHAT = Document(
    "Ann: Hi! You there?\n\nBob: yes\nAnn: The meeting about the budget is moved to noon", ("x",), "en", dialogue=True
)
CHINESE = Document("河水上涨。城镇被淹。商店关门。", ("城镇被淹",), "zh", dialogue=False)


def _said(name: str, document: Document, about: Convention) -> str:
    return next(one for one in quotings(about) if one.name == name).quote(document)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lead-1", "The river rose on Monday."),
        ("lead-2", "The river rose on Monday. Dr. Smith saw it."),
        ("plain-2", "The river rose on Monday. Dr."),
        (
            "longest-2",
            "The river rose on Monday. The river rose above the bridge and the town by the river was flooded.",
        ),
        ("first-8", "The river rose on Monday. Dr. Smith saw"),
        ("whole", TEXT),
        (
            "textrank",
            "The river rose on Monday. The river rose above the bridge and the town by the river was flooded.",
        ),
        ("oracle", "The river rose above the bridge and the town by the river was flooded."),
    ],
)
def test_of_news_this_is_quoted(name: str, text: str) -> None:
    assert _said(name, NEWS, Convention("en", 2, "lead-2")) == text


def test_a_dialogue_is_quoted_by_turns() -> None:
    about = convention("samsum", [])

    assert _said("lead-1", CHAT, about) == "Ann: Hi! You there?"
    assert _said("longest-3", CHAT, about) == " ".join(CHAT.units)


def test_chinese_is_quoted_by_character_and_joined_without_spaces() -> None:
    about = convention("csl_title", [])

    assert _said("lead-2", CHINESE, about) == "河水上涨。城镇被淹。"
    assert _said("plain-1", CHINESE, about) == "河水上涨。"
    assert _said("first-20", CHINESE, about) == CHINESE.text
    assert _said("oracle", CHINESE, about) == "城镇被淹。"


def test_every_set_is_held_against_a_baseline_that_it_has() -> None:
    for about in SETS.values():
        assert about.lead in {one.name for one in quotings(about)}


def test_a_set_that_nobody_knows_has_the_language_of_its_script() -> None:
    assert convention("mine", ["河水上涨。"]) == Convention("zh", 3, "lead-3")
    assert convention("mine", ["123"]).language == "en"
