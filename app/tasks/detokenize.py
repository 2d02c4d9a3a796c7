"""A summary's tokens as text, piece by piece as they are decided, in the caller's own spelling.

A piece that begins with "▁" follows white space, every other one joins the piece before it. A word is held back until
the next one begins, so that text given out is never taken back and never ends inside a character. The vocabulary is
lower-case: a word that stands in the source is spelled as it is there (as in the copied place, or else as is usual).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

SPACE = "▁"
"""In front of a piece: white space. The normalization of packages that write puts it there."""
_BREAKS = {"\n", "<nl>"}
_WORD = re.compile(r"[^\W\d_]+")
_ENDS_A_SENTENCE = re.compile(r"[.!?:。！？\n]")
_RAISING_SHARE = 0.25
"""Of a text's sentences; a chat whose turns begin with names raises few others."""
_SHOUTED = 3
"""A word of so many letters that is nothing but capitals is an emphasis where it is a plain one: "SHE", not "US"."""
# Without a sentence to begin, these are lower-case, though the source may have them nowhere but at its beginnings.
_PLAIN = """
a an the this that these those and but or nor so yet if as at by for from in into of off on onto out over to up with
after before since until when while where why how what who whom whose which because although though he she it we they
you his her its our their your my him them us there here is are was were be been has have had do does did will would
can could may might must shall should not no yes some any all each every many most more other another such one two don
didn doesn isn aren wasn weren won wouldn couldn shouldn hasn haven hadn
"""
_PLAIN_WORDS = frozenset(_PLAIN.split())
_SHORTENED = frozenset(
    ["mr", "mrs", "ms", "dr", "st", "jr", "sr", "vs", "no", "inc", "co", "corp", "gen", "sen", "gov"]
)
"""A full stop after one of these, or after a single letter, ends no sentence."""
_RAISED = """
monday tuesday wednesday thursday friday saturday sunday january february april june july august september october
november december christmas american british chinese english european french german indian italian japanese korean
russian spanish mr mrs dr
"""
_RAISED_WORDS = frozenset(_RAISED.split())


class Spelling:
    """How a text spells its words, and whether its sentences begin with capitals."""

    def __init__(self, text: str) -> None:
        inside: dict[str, Counter[str]] = {}
        self._at_beginnings: dict[str, str] = {}
        self._beginnings: set[int] = set()
        beginnings, raised, end = 0, 0, 0
        for found in _WORD.finditer(text):
            word, gap = found.group(), text[end : found.start()]
            if end == 0 or _ENDS_A_SENTENCE.search(gap):
                beginnings, raised = beginnings + 1, raised + word[0].isupper()
                self._at_beginnings.setdefault(word.lower(), word)
                self._beginnings.add(found.start())
            else:
                inside.setdefault(word.lower(), Counter())[word] += 1
            end = found.end()
        self._usual = {word: spellings.most_common(1)[0][0] for word, spellings in inside.items()}
        self.raises = raised > _RAISING_SHARE * beginnings

    def spelled(self, word: str, copied: str | None, place: int) -> str:
        """Return a lower-case ``word`` as the text spells it, best as where it was ``copied`` from, at ``place``."""
        usual, beginning = self._usual.get(word), self._at_beginnings.get(word)
        if self.raises and word in _PLAIN_WORDS:
            found = copied or usual or word
            return word if found.istitle() or len(word) >= _SHOUTED else found
        if copied is not None and (place not in self._beginnings or len(word) == 1):
            return copied
        if usual is not None or beginning is not None:
            return usual or beginning or word
        raised = self.raises and (word == "i" or word in _RAISED_WORDS)
        return word[:1].upper() + word[1:] if raised else word


@dataclass(frozen=True, slots=True)
class Source:
    """What a summary was written from: the text, each token's span in it, and how the text spells."""

    text: str
    offsets: Sequence[tuple[int, int]]
    spelling: Spelling

    def span(self, first: int, last: int) -> str:
        """Return the text of the tokens ``first`` to ``last``, both included, white space before and after cut off."""
        return self.text[self.offsets[first][0] : self.offsets[last][1]].strip()

    def is_rest(self, token: int) -> bool:
        """Tell whether a token is of one sign with the token before it, as the parts of "¼" are."""
        return token > 0 and self.offsets[token] == self.offsets[token - 1]

    def follows_space(self, token: int) -> bool:
        """Tell whether white space, or nothing at all, stands in front of a token."""
        start, end = self.offsets[token]
        return self.text[start:end][:1].isspace() or start == 0 or self.text[start - 1].isspace()


@dataclass(slots=True)
class _Word:
    """The pieces of the word at hand: their text, and where in the source each was copied from."""

    text: str = ""
    spaced: bool = False
    places: list[int | None] = field(default_factory=list)

    def goes_on(self, spaced: bool, body: str) -> bool:  # noqa: FBT001 - private
        if not self.text:
            return not (spaced and self.spaced)
        return not spaced and _kind(self.text[-1]) == _kind(body[:1]) != "sign of its own"


class Detokenizer:
    """Puts one summary together; ``add`` each token in turn, then ``end``."""

    def __init__(self, pieces: Sequence[str], unk_id: int, source: Source, *, recase: bool) -> None:
        """``pieces`` has every id's piece; ``recase`` puts the caller's own spelling back."""
        self._pieces = pieces
        self._unk_id = unk_id
        self._source = source
        self._recase = recase
        self._word = _Word()
        self._begins = True
        self._break = False
        self._empty = True
        self._last = ""

    def add(self, token: int, copied_from: int | None = None) -> str:
        """Take the next token, and its place in the source where it was copied; return the text now certain."""
        piece = self._pieces[token]
        if piece in _BREAKS:
            text = self._flush()
            self._break = True
            return text
        spaced, body = piece.startswith(SPACE), piece.lstrip(SPACE)
        if token == self._unk_id:
            if copied_from is None or self._source.is_rest(copied_from):
                return ""
            spaced, body = self._source.follows_space(copied_from), self._source.span(copied_from, copied_from)
        if not body and not spaced:
            return ""
        text = "" if self._word.goes_on(spaced, body) else self._flush()
        self._word.spaced |= spaced and not self._word.text
        self._word.text += body
        if body:
            self._word.places.append(copied_from)
        return text

    def end(self) -> str:
        """Return what is held back; nothing comes after it."""
        return self._flush()

    def _flush(self) -> str:
        word, self._word = self._word, _Word()
        if not word.text:
            return ""
        text = self._spelled(word) if self._recase else word.text
        before = "" if self._empty else "\n" if self._break else " " if word.spaced else ""
        if any(sign.isalnum() for sign in text):
            self._begins, self._last = False, text.lower()
        elif _ENDS_A_SENTENCE.search(text) and ":" not in text:
            self._begins = text != "." or not (len(self._last) == 1 or self._last in _SHORTENED)
        self._empty = self._break = False
        return before + text

    def _spelled(self, word: _Word) -> str:
        lower = word.text.lower()
        copied, place = self._copied(word, lower)
        text = self._source.spelling.spelled(lower, copied, place)
        begins = self._break or (self._begins and (word.spaced or self._empty))
        return text[:1].upper() + text[1:] if begins and self._source.spelling.raises and text.islower() else text

    def _copied(self, word: _Word, lower: str) -> tuple[str | None, int]:
        """Return the source's text where the whole word was copied from one run of it, and where that begins."""
        first = word.places[0]
        if first is None or word.places != list(range(first, first + len(word.places))):
            return None, 0
        text = self._source.span(first, first + len(word.places) - 1)
        place = self._source.offsets[first + len(word.places) - 1][1] - len(text)
        return (text if text.lower() == lower or len(text) == len(lower) else None), place


def _kind(sign: str) -> str:
    if "\u2e80" <= sign <= "\ud7ff" or "\uf900" <= sign <= "\ufaff" or sign >= "\U00020000":
        return "sign of its own"  # Han, kana, Hangul and their full stops
    if sign.isdigit():
        return "digit"
    return "letter" if sign.isalpha() or not sign.isprintable() else "sign"
