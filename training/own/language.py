"""The languages of a table, told by script as the service tells a text's."""

from collections import Counter
from collections.abc import Iterable

from app.text.language import detect

MIN_SHARE = 0.05
"""A language of fewer rows is a name or a quotation here and there."""
WITHOUT_SPACES = {"zh", "ja", "ko"}
LATIN = "en"


def languages(texts: Iterable[str]) -> dict[str, float]:
    """Return the share of texts in each language that a twentieth of them is in, the most first; English if none is."""
    counts = Counter(found for text in texts if (found := detect(text)))
    total = sum(counts.values())
    shares = {code: count / total for code, count in counts.most_common() if count >= MIN_SHARE * total}
    return shares or {LATIN: 1.0}


def normalization(language: str) -> int:
    """Return the version of normalization for a language: whole words, or characters where words have no spaces."""
    return 2 if language in WITHOUT_SPACES else 1
