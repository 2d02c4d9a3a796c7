"""The parts that a summary is made of: each a stretch of the caller's text, and what is written or quoted of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.modelpack.summaries import KindName
from app.modelpack.tokenizer import Tokens
from app.runtime.roster import Draft
from app.runtime.summarizer import Summarizer
from app.summarizing.wishes import Delta, FinishReason, TokenOrigin
from app.tasks.detokenize import Detokenizer, Source, Spelling
from app.tasks.generate import Summary, Token
from app.text.sentences import Sentence

Tell = Callable[[Delta], None]

_COPIED = 0.5
"""A token was copied where more than this share of its probability came from copying."""
_JOINERS = {"zh": ""}
"""What stands between two sentences; a space elsewhere."""
_WORST_FIRST: tuple[FinishReason, ...] = ("deadline", "length", "eos")


@dataclass(slots=True)
class Part:
    """One stretch of the text that is rewritten on its own: the whole of it, or one of its sentences."""

    span: Sentence
    tokens: Tokens
    offsets: list[tuple[int, int]]
    """Of each token, in the whole text."""
    detokenizer: Detokenizer
    summary: Summary | None = None
    _text: list[str] = field(default_factory=list)
    _heard: int = 0

    @classmethod
    def of(cls, writer: Summarizer, text: str, spelling: Spelling, span: Sentence, tokens: Tokens) -> "Part":
        """Return the part for ``text[span]``; ``tokens`` are of that stretch, and ``spelling`` is the whole text's."""
        offsets = [(span.start + start, span.start + end) for start, end in tokens.offsets or []]
        source = Source(text, offsets, spelling)
        unk_id, recase = writer.manifest.tokenizer.unk_id, writer.generation.recase
        return cls(span, tokens, offsets, Detokenizer(writer.pieces, unk_id, source, recase=recase))

    @property
    def text(self) -> str:
        """What is certain of its text so far; all of it after ``end``."""
        return "".join(self._text)

    def draft(self, kind: KindName, *, free: bool) -> Draft:
        """Return what the decoder reads."""
        return Draft(self.tokens.ids, kind, free)

    def hear(self, token: Token) -> str:
        """Take a token as it is decided; return the text that is certain with it."""
        self._heard += 1
        self._text.append(self.detokenizer.add(token.id, token.source if token.copied > _COPIED else None))
        return self._text[-1]

    def end(self, summary: Summary) -> str:
        """Take the whole summary, of which some tokens may have been heard; return the text that is certain with it."""
        self.summary = summary
        text = "".join([self.hear(token) for token in summary.tokens[self._heard :]])
        self._text.append(self.detokenizer.end())
        return text + self._text[-1]

    def origins(self, pieces: list[str]) -> list[TokenOrigin]:
        """Return where each token looked, in the caller's own text."""
        written = self.summary.tokens if self.summary else []
        return [TokenOrigin(pieces[one.id], *self.offsets[one.source], one.copied > _COPIED) for one in written]


class Reciter:
    """Tells of parts that are written at the same time one after the other, as far as each is decided."""

    def __init__(self, parts: list[Part], language: str, tell: Tell) -> None:
        self._parts = parts
        self._joiner = _JOINERS.get(language, " ")
        self._tell = tell
        self._at = 0
        self._said = False
        self._begins = True
        self._tokens = 0

    def say(self, text: str) -> None:
        """Tell of a sentence that is quoted."""
        self._begins = True
        self._utter(text)

    def hear(self, at: int, token: Token) -> None:
        """Take a part's next token."""
        self._tokens += 1
        text = self._parts[at].hear(token)
        if at == self._at:
            self._utter(text)

    def end(self, at: int, summary: Summary) -> None:
        """Take a part's whole summary; where it was this part's turn, go on with what the next ones have by now."""
        text = self._parts[at].end(summary)
        if at != self._at:
            return
        self._utter(text)
        while self._at < len(self._parts) and self._parts[self._at].summary is not None:
            self._at += 1
            self._begins = True
            if self._at < len(self._parts):
                self._utter(self._parts[self._at].text)

    def _utter(self, text: str) -> None:
        if text:
            self._tell(Delta((self._joiner if self._begins and self._said else "") + text, self._tokens))
            self._said, self._begins = True, False


def finish_reason(parts: list[Part]) -> FinishReason | None:
    """Return why the parts end: the worst of their reasons; ``None`` where nothing was written."""
    reasons = {part.summary.reason for part in parts if part.summary is not None}
    return next((reason for reason in _WORST_FIRST if reason in reasons), None)


def joined(texts: list[str], language: str) -> str:
    """Return sentences as one text; Chinese puts no space between them."""
    return _JOINERS.get(language, " ").join(text for text in texts if text)
