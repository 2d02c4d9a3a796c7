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
_ENGLISH_WORDS = (
    r"[\p{L}\p{M}]+?(?=n't\b)|n't\b"  # do|n't, ca|n't, also where a corpus already wrote "do n't"
    r"|'(?:s|re|ve|ll|d|m)\b"
    r"|[\p{L}\p{M}]+"
    r"|\p{N}+"
    r"|\p{So}|\p{Sk}"  # one emoji, one token
    r"|[^\s\p{L}\p{M}\p{N}\p{So}\p{Sk}]+"  # runs such as "!!!", "..." and ":-(" carry feeling
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
        normalizers.Replace(Regex(r"https?://\S+|www\.\S+"), " url "),
        normalizers.Replace(Regex(r"(?<![\w@])@\w+"), " @user "),
        normalizers.Replace(Regex(r"\p{Cf}"), ""),  # zero-width signs inside words
        normalizers.Replace(Regex(r"\p{Cc}"), " "),
        normalizers.Lowercase(),
    ]
    return Normalization(
        version=1,
        normalizer=normalizers.Sequence(rules),
        pre_tokenizer=pre_tokenizers.Split(Regex(_ENGLISH_WORDS), behavior="removed", invert=True),
    )


_VERSIONS: dict[int, Callable[[], Normalization]] = {1: _english}


def versions() -> list[int]:
    """Return the version numbers that this release knows."""
    return sorted(_VERSIONS)


def normalization(version: int) -> Normalization:
    """Return the parts of ``version``; ``KeyError`` where this release does not know it."""
    return _VERSIONS[version]()
