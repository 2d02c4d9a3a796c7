"""Text normalization, by version: what happens to a text before it is cut into tokens.

A version is a pair of Hugging Face ``tokenizers`` parts that travel inside a package's tokenizer.json, so training
and serving run the same code and offsets point into the caller's own text. A version never changes once a package
carries it; a better normalization is a new version.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Regex, normalizers, pre_tokenizers

_QUOTES = {
    "[‘’‛`´]": "'",
    "[“”„‟«»]|``|''": '"',
}
_URL, _NAME = " url ", " @user "
_ENGLISH_WORDS = (
    r"[\p{L}\p{M}]+?(?=n't\b)|n't\b"  # do|n't, ca|n't, also where a corpus already wrote "do n't"
    r"|'(?:s|re|ve|ll|d|m)\b"
    r"|[\p{L}\p{M}]+"
    r"|\p{N}+"
    r"|\p{So}|\p{Sk}"  # one emoji, one token
    r"|[^\s\p{L}\p{M}\p{N}\p{So}\p{Sk}]+"  # runs such as "!!!", "..." and ":-(" carry feeling
)

_SYLLABIC = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
_WIDE = rf"{_SYLLABIC}\x{{3000}}-\x{{303F}}\x{{FF00}}-\x{{FFEF}}“”‘’…—·"
_SKIN_TONES = r"\x{1F3FB}-\x{1F3FF}"
_CHINESE_PIECES = (
    rf"[{_SYLLABIC}]"  # a character is a token of its own; written without spaces, words would be a guess
    rf"|[[\p{{L}}\p{{M}}]&&[^{_SYLLABIC}]]+"
    r"|\p{N}+"
    rf"|[\x{{1F1E6}}-\x{{1F1FF}}]{{2}}|\p{{So}}[{_SKIN_TONES}]?"  # a flag, an emoji
    r"|([^\s\p{L}\p{M}\p{N}\p{So}])\1*"  # "!!!" is one piece, "?!" two
)

SPACE = "▁"
"""Stands in a generative vocabulary for the white space before a piece."""
_ENGLISH_PIECES = (
    rf"{SPACE}?[\p{{L}}\p{{M}}]+"
    rf"|{SPACE}?\p{{N}}+"
    r"|\n"
    rf"|'(?:s|t|re|ve|ll|d|m)(?![\p{{L}}\p{{N}}])"
    rf"|{SPACE}?([^\s\p{{L}}\p{{M}}\p{{N}}{SPACE}])\1*"
)
_MIXED_PIECES = (
    rf"[{_SYLLABIC}]"
    rf"|{SPACE}?[[\p{{L}}\p{{M}}]&&[^{_SYLLABIC}]]+"
    rf"|{SPACE}?\p{{N}}+"
    r"|\n"
    rf"|{SPACE}?([^\s\p{{L}}\p{{M}}\p{{N}}{SPACE}])\1*"
)


@dataclass(frozen=True)
class Normalization:
    """One version: its number and the two tokenizer parts that it stands for."""

    version: int
    normalizer: normalizers.Normalizer
    pre_tokenizer: pre_tokenizers.PreTokenizer


def _english() -> Normalization:
    """Version 1: lower-case English, at home with raw text and with Penn Treebank tokens alike."""
    rules = [
        # before NFKC, which would take an acute accent used as an apostrophe apart
        *(normalizers.Replace(Regex(pattern), plain) for pattern, plain in _QUOTES.items()),
        normalizers.NFKC(),
        normalizers.Replace(Regex(r"<br\s*/?>"), " "),
        normalizers.Replace(Regex(r"https?://\S+|www\.\S+"), _URL),
        normalizers.Replace(Regex(r"(?<![\w@])@\w+"), _NAME),
        normalizers.Replace(Regex(r"\p{Cf}"), ""),  # zero-width signs inside words
        normalizers.Replace(Regex(r"\p{Cc}"), " "),
        normalizers.Lowercase(),
    ]
    return Normalization(
        version=1,
        normalizer=normalizers.Sequence(rules),
        pre_tokenizer=pre_tokenizers.Split(Regex(_ENGLISH_WORDS), behavior="removed", invert=True),
    )


def _chinese() -> Normalization:
    """Version 2: Chinese, alone or mixed with other scripts; traditional characters stay as they are."""
    rules = [
        # before NFKC, whose plain comma would hide where an address ends that a Chinese one follows
        normalizers.Replace(Regex(r"(?i)(?:https?://|www\.)[!#-;=?-~]*[A-Za-z0-9/]"), _URL),
        normalizers.NFKC(),
        normalizers.Replace(Regex("[‘’‛]"), "'"),
        normalizers.Replace(Regex("[“”„‟]"), '"'),
        normalizers.Replace(Regex(r"(?i)<br\s*/?>"), " "),
        # A name ends where its letters do, as on Weibo; a longer run is a sentence that someone began with "@".
        normalizers.Replace(Regex(r"(?<![A-Za-z0-9_@])@[\w-]{2,30}(?![\w-])"), _NAME),
        normalizers.Replace(Regex(r"[\p{Cf}\x{FE00}-\x{FE0F}]"), ""),  # also what makes an emoji coloured
        normalizers.Replace(Regex(r"\p{Cc}"), " "),
        normalizers.Lowercase(),
    ]
    return Normalization(
        version=2,
        normalizer=normalizers.Sequence(rules),
        pre_tokenizer=pre_tokenizers.Split(Regex(_CHINESE_PIECES), behavior="removed", invert=True),
    )


def _generative_english() -> Normalization:
    r"""Version 3: lower-case English whose pieces join to text again: "▁" at the front of a piece is white space.

    Line breaks stay, as a piece "\n" of their own. White space that a corpus put before a full stop or a clitic goes,
    so that tokenized and raw text read alike. The span of a piece with "▁" takes the white space in.
    """
    rules = [
        *(normalizers.Replace(Regex(pattern), plain) for pattern, plain in _QUOTES.items()),
        normalizers.NFKC(),
        *_white_space(),
        normalizers.Replace(Regex(r" +(?=([.,;:!?%)\]}])\1*(?:\s|$))"), ""),
        normalizers.Replace(Regex(r"(?<=[(\[{]) +"), ""),
        normalizers.Replace(Regex(r"(?i) +(?=(?:n't|'(?:s|re|ve|ll|d|m))(?![\p{L}\p{N}]))"), ""),
        normalizers.Replace(Regex(r"\s*\n\s*"), "\n "),
        normalizers.Lowercase(),
    ]
    return Normalization(
        version=3,
        normalizer=normalizers.Sequence(rules),
        pre_tokenizer=pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=False),
                pre_tokenizers.Split(Regex(_ENGLISH_PIECES), behavior="removed", invert=True),
            ]
        ),
    )


def _generative_chinese() -> Normalization:
    """Version 4: Chinese whose pieces join to text again: "▁" marks white space, which only other scripts keep.

    Full-width signs stay as they are, since what is generated is read; letters are lower-cased.
    """
    rules = [
        *_white_space(),
        normalizers.Replace(Regex(rf" +(?=[{_WIDE}\n])|(?<=[{_WIDE}\n]) +|^ +| +$"), ""),
        normalizers.Lowercase(),
    ]
    return Normalization(
        version=4,
        normalizer=normalizers.Sequence(rules),
        pre_tokenizer=pre_tokenizers.Sequence(
            [
                pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="never", split=False),
                pre_tokenizers.Split(Regex(_MIXED_PIECES), behavior="removed", invert=True),
            ]
        ),
    )


def _white_space() -> list[normalizers.Normalizer]:
    """Return the rules that leave single spaces and single line breaks, and no sign that cannot be seen."""
    return [
        normalizers.Replace(Regex(r"[\p{Cf}\x{FE00}-\x{FE0F}]"), ""),
        normalizers.Replace(Regex(r"\s*[\n\r\x{2028}\x{2029}]\s*"), "\n"),
        normalizers.Replace(Regex(rf"[[\p{{Cc}}\s{SPACE}]&&[^\n]]+"), " "),
    ]


VERSIONS: dict[int, Callable[[], Normalization]] = {
    1: _english,
    2: _chinese,
    3: _generative_english,
    4: _generative_chinese,
}
"""Every version by its number; a measurement that serves a foreign tokenizer enters that one's here."""


def versions() -> list[int]:
    """Return the version numbers that this release knows."""
    return sorted(VERSIONS)


def normalization(version: int) -> Normalization:
    """Return the parts of ``version``; ``KeyError`` where this release does not know it."""
    return VERSIONS[version]()
