"""Sentences keep their place in the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.sentences import sentences


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Dr. Smith likes it. I do not!  Really?", ["Dr. Smith likes it.", "I do not!", "Really?"]),
        ("en", "no end", ["no end"]),
        ("en", "one\n\ntwo", ["one", "two"]),
        ("zh", "好,但是不好。真的吗?是的!", ["好,但是不好。", "真的吗?", "是的!"]),
        ("en", "  \n ", []),
        (
            "en",
            'He said "I am fine. You are not." Then he left.',
            ['He said "I am fine.', 'You are not."', "Then he left."],
        ),
        ("en", "“Go. Now!” she said. 'Why?'", ["“Go.", "Now!”", "she said.", "'Why?'"]),
        ("en", 'a word . " i see , " he said . " so', ["a word .", '" i see , " he said .', '" so']),
        (
            "en",
            "it 's one ' thing . then another . and more .",
            ["it 's one ' thing .", "then another .", "and more ."],
        ),
        ("zh", "他说：“很好。真的。”然后走了。", ["他说：“很好。真的。”", "然后走了。"]),
    ],
)
def test_text_is_cut_into(language: str, text: str, expected: list[str]) -> None:
    assert [text[found.start : found.end] for found in sentences(text, language)] == expected


@given(st.text(max_size=80), st.sampled_from(["en", "zh"]))
def test_any_text_is_cut_without_loss_or_overlap(text: str, language: str) -> None:
    at = 0
    for found in sentences(text, language):
        assert not text[at : found.start].strip()
        assert found.start < found.end
        at = found.end
    assert not text[at:].strip()
