"""Sentences of a text, with offsets into it (by the library sentencex, Wikimedia's splitter)."""

import re
from dataclasses import dataclass

import sentencex

_MARKS = "\"'“”‘’"
_BLANKED = str.maketrans(dict.fromkeys(_MARKS, " "))
"""English quotation marks, between which the library ends no sentence: one mark that is never closed, as in tokenized
news, then makes a page of text one sentence."""
_REACH = 16
_BEFORE, _AFTER = re.compile(rf"[\s{_MARKS}]*\Z"), re.compile(rf"[\s{_MARKS}]*")


@dataclass(frozen=True, slots=True)
class Sentence:
    """The half-open character span ``start:end`` of one sentence, without the white space around it."""

    start: int
    end: int


def sentences(text: str, language: str) -> list[Sentence]:
    """Return the sentences of ``text`` in order; spans do not overlap and hold every non-space character."""
    read = text.translate(_BLANKED) if language == "en" else text
    starts = [0]
    for part in sentencex.get_sentence_boundaries(language, read)[1:]:
        at = part["start_index"]
        starts.append(max(starts[-1], _between_marks(text, at) if language == "en" else at))
    found = []
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        if last := len(piece.strip()):
            found.append(Sentence(first, first + last))
    return found


def _between_marks(text: str, at: int) -> int:
    """Return where, among the quotation marks around a boundary ``at``, those end that close what was said before."""
    begin = at - len(_BEFORE.search(text, max(0, at - _REACH), at)[0])  # type: ignore[index]
    end = _AFTER.match(text, at, at + _REACH).end()  # type: ignore[union-attr]
    for place in range(end - 1, begin - 1, -1):
        if text[place] in _MARKS and _closes(text, place):
            return place + 1
    return begin


def _closes(text: str, at: int) -> bool:
    """Whether the mark at ``at`` closes; a straight double one does where it is the second, fourth of its paragraph."""
    if text[at] == '"':
        return text.count('"', text.rfind("\n", 0, at) + 1, at) % 2 == 1
    return text[at] == "”" or (text[at] in "'’" and not text[at - 1 : at].isspace())
