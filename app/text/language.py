"""The language of a text, told by its script.

The service speaks English and Chinese, whose scripts are disjoint, so counting letters is exact where a statistical
identifier errs: on texts of one or two words. What it cannot do is tell English from another language in Latin
letters; a caller who mixes those names the language.
"""

import re

_SCRIPTS = {
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
    "en": re.compile(r"[A-Za-z\u00c0-\u024f\uff21-\uff3a\uff41-\uff5a]"),
}
_LATIN = _SCRIPTS["en"]
_OTHERS = {
    "ja": re.compile(r"[\u3040-\u30ff\uff66-\uff9f]"),
    "ko": re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u052f]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "ar": re.compile(r"[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
}
_ENGLISH_WORD_LETTERS = 3
"""A Han character says about as much as this many Latin letters."""
_SAMPLE_CHARS = 2000
"""The first stretch of a text that has letters tells its script."""


def detect(text: str) -> str | None:
    """Return the ISO 639-1 code that the text's script stands for, ``None`` where it has no letters at all."""
    if text.isascii():
        return "en" if _LATIN.search(text) else None
    for start in range(0, len(text), _SAMPLE_CHARS):
        if language := _script(text[start : start + _SAMPLE_CHARS]):
            return language
    return None


def _script(sample: str) -> str | None:
    has_latin = _LATIN.search(sample) is not None
    if sample.isascii():
        return "en" if has_latin else None
    counts = {code: len(letters.findall(sample)) for code, letters in (_SCRIPTS | _OTHERS).items()}
    if counts["ja"]:  # Japanese writes with Han characters too, and Chinese never with kana
        counts["ja"] += counts["zh"]
    counts["en"] //= _ENGLISH_WORD_LETTERS
    best = max(counts, key=lambda code: counts[code])
    if counts[best]:
        return best
    return "en" if has_latin else None
