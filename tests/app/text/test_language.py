"""The language of a text is told by its script."""

import pytest

from app.text.language import detect


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hello", "en"),
        ("naïve café", "en"),
        ("不好", "zh"),
        ("这个 iPhone 很好用", "zh"),
        ("I really love 北京", "en"),
        ("これは本です", "ja"),
        ("한국어", "ko"),
        ("Привет", "ru"),
        ("12:30 :-)", None),
        ("", None),
        ("😀", None),
        ("1" * 5_000 + " good", "en"),
        ("ok", "en"),
    ],
)
def test_language_of(text: str, language: str | None) -> None:
    assert detect(text) == language
