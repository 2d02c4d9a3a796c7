"""Normalization version 1: raw English and Penn Treebank tokens come to the same words."""

import pytest

from app.modelpack.normalize import normalization, versions


def words(text: str) -> list[str]:
    known = normalization(1)
    return [word for word, _ in known.pre_tokenizer.pre_tokenize_str(known.normalizer.normalize_str(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don't", ["i", "do", "n't"]),
        ("i do n't", ["i", "do", "n't"]),
        ("DON’T", ["do", "n't"]),
        ("can't ca n't cannot", ["ca", "n't", "ca", "n't", "cannot"]),
        ("It's it 's", ["it", "'s", "it", "'s"]),
        ("cant want different", ["cant", "want", "different"]),
        ("great!!! :-(", ["great", "!!!", ":-("]),
        ("8/10", ["8", "/", "10"]),
        ("a<br /><br/>b", ["a", "b"]),
        ("see https://x.y/z?q now", ["see", "url", "now"]),
        ("@bob hi a@b.c", ["@", "user", "hi", "a", "@", "b", ".", "c"]),
        ("``quoted''", ['"', "quoted", '"']),
        ("won\u200bder", ["wonder"]),
        ("ＦＵＬＬ", ["full"]),
        ("😀😀", ["😀", "😀"]),
        ("cafe\u0301", ["café"]),
    ],
)
def test_text_becomes_these_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_an_unknown_version_is_no_version() -> None:
    assert versions() == [1]
    with pytest.raises(KeyError):
        normalization(99)
