"""Sentences of a text, with offsets into it (by the library sentencex, Wikimedia's splitter)."""

from dataclasses import dataclass

import sentencex


@dataclass(frozen=True, slots=True)
class Sentence:
    """The half-open character span ``start:end`` of one sentence, without the white space around it."""

    start: int
    end: int


def sentences(text: str, language: str) -> list[Sentence]:
    """Return the sentences of ``text`` in order; spans do not overlap and hold every non-space character."""
    found = []
    for part in sentencex.get_sentence_boundaries(language, text):
        piece = text[part["start_index"] : part["end_index"]]
        start = part["start_index"] + len(piece) - len(piece.lstrip())
        end = start + len(piece.strip())
        if end > start:
            found.append(Sentence(start, end))
    return found
