"""What is read of a text before it is summarized: its tokens, its sentences, and what follows from them.

Nothing here waits for anything: it may run on the event loop or, for long texts, beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import ItemError, NoUsableText, OptionOutOfBounds
from app.modelpack.summaries import KindName, Option
from app.modelpack.tokenizer import Tokens
from app.runtime.extractor import Extractor
from app.runtime.model import Model
from app.runtime.summarizer import Summarizer
from app.summarizing.parts import Part
from app.summarizing.wishes import Wish
from app.tasks.detokenize import Spelling
from app.tasks.generate import Options
from app.text.form import Plan, plan
from app.text.sentences import Sentence, sentences


@dataclass(slots=True, eq=False)
class Item:
    """One text on its way: first where it goes, then what was read of it, then what was chosen and written."""

    index: int
    text: str
    language: str
    writer: Summarizer | None
    quoter: Extractor | None
    aliases: Mapping[Model, str | None] = field(default_factory=dict)
    """By which alias each of the two was found."""
    plan: Plan = field(default_factory=lambda: Plan("extractive", None))
    options: Options | None = None
    tokens: int = 0
    truncated: bool = False
    sentences: list[tuple[Sentence, Tokens]] = field(default_factory=list)
    """Those that the quoter reads."""
    chosen: list[tuple[Sentence, float]] = field(default_factory=list)
    """Those that are quoted, in the text's order, with their scores."""
    parts: list[Part] = field(default_factory=list)

    @property
    def model(self) -> Model:
        """The package that answers: the one that writes, or else the one that quotes."""
        model = self.quoter if self.plan.method == "extractive" else self.writer
        if model is None:
            raise TypeError("This is a bug: a plan without its package")
        return model

    def need_writer(self) -> Summarizer:
        """Return the package that writes, which the plan has made sure of."""
        if self.writer is None:
            raise TypeError("This is a bug: a plan to write without a package that does")
        return self.writer

    def need_quoter(self) -> Extractor:
        """Return the package that quotes, which the plan has made sure of."""
        if self.quoter is None:
            raise TypeError("This is a bug: a plan to quote without a package that does")
        return self.quoter


def read(wish: Wish, items: Sequence[Item], *, streams: bool) -> list[ItemError | None]:
    """Read each item's text and plan its summary; return what is wrong with it, ``None`` where it can be summarized."""
    found: list[ItemError | None] = []
    for item in items:
        try:
            _read(wish, item, streams=streams)
        except ItemError as error:
            found.append(error)
        else:
            found.append(None)
    return found


def rewrite_chosen(items: Sequence[Item]) -> None:
    """Make each chosen sentence of each item a part that is written of on its own."""
    for item in items:
        writer, spelling = item.need_writer(), Spelling(item.text)
        spans = [span for span, _ in item.chosen]
        cut = writer.tokenizer.encode([item.text[span.start : span.end] for span in spans], with_offsets=True)
        item.parts = [
            Part.of(writer, item.text, spelling, span, tokens)
            for span, tokens in zip(spans, cut, strict=True)
            if len(tokens.ids)
        ]


def _read(wish: Wish, item: Item, *, streams: bool) -> None:
    spans = sentences(item.text, item.language)
    whole = item.writer.tokenizer.encode([item.text], with_offsets=True)[0] if item.writer else None
    kinds = frozenset(item.writer.generation.kinds) if item.writer else frozenset()
    if wish.kind != "auto" and kinds and wish.kind not in kinds:
        raise OptionOutOfBounds(f"kind is {wish.kind!r}; expected 'auto' or one of {sorted(kinds)}, which {_of(item)}")
    fits = whole is not None and not whole.truncated
    item.plan = plan(
        item.text,
        len(spans),
        fits=fits,
        method=wish.method,
        kind=wish.kind,
        kinds=kinds,
        quotes=item.quoter is not None,
    )
    if item.plan.method != "extractive":
        item.options = options_of(wish, item.need_writer(), item.plan.kind, streams=streams)
    if item.plan.method == "abstractive" and whole is not None:
        _read_whole(item, whole)
    else:
        _read_sentences(wish, item, spans)


def _read_whole(item: Item, whole: Tokens) -> None:
    if not whole.known:
        raise _unusable(item)
    everything = Sentence(0, len(item.text))
    item.parts = [Part.of(item.need_writer(), item.text, Spelling(item.text), everything, whole)]
    item.tokens, item.truncated = len(whole.ids), whole.truncated


def _read_sentences(wish: Wish, item: Item, spans: list[Sentence]) -> None:
    quoter = item.need_quoter()
    if wish.sentences is not None:
        _bounded("sentences", wish.sentences, quoter.extraction.sentences, f"{quoter.name!r} allows")
    within = spans[: quoter.extraction.max_sentences]
    cut = quoter.tokenizer.encode([item.text[span.start : span.end] for span in within])
    item.sentences = [(span, tokens) for span, tokens in zip(within, cut, strict=True) if len(tokens.ids)]
    if not any(tokens.known for _, tokens in item.sentences):
        raise _unusable(item)
    longest = quoter.extraction.max_sentence_tokens
    item.tokens = sum(min(len(tokens.ids), longest) for _, tokens in item.sentences)
    item.truncated = len(spans) > len(within) or any(len(tokens.ids) > longest for _, tokens in item.sentences)


def options_of(wish: Wish, writer: Summarizer, name: KindName | None, *, streams: bool = False) -> Options:
    """Return the search that was asked for; ``OptionOutOfBounds`` names what the package does not allow."""
    generation = writer.generation
    if name is None:
        raise TypeError("This is a bug: a plan to write without a kind")
    kind = generation.kinds[name]
    asked: dict[str, float | None] = {
        "min_tokens": wish.min_tokens,
        "max_tokens": wish.max_tokens,
        "beams": 1 if streams and wish.beams is None else wish.beams,  # of several beams no token is final early
        "length_penalty": wish.length_penalty,
    }
    found = {
        option: _bounded(option, value, getattr(kind, option), f"{writer.name!r} allows for {name}")
        for option, value in asked.items()
    }
    least, most = int(found["min_tokens"]), int(found["max_tokens"])
    if least > most and wish.min_tokens is not None and wish.max_tokens is not None:
        raise OptionOutOfBounds(f"min_tokens is {least}; expected at most max_tokens, which is {most}")
    return Options(
        max_tokens=max(least, most) if wish.max_tokens is None else most,
        min_tokens=min(least, most) if wish.min_tokens is None else least,
        beams=int(found["beams"]),
        length_penalty=float(found["length_penalty"]),
        coverage_penalty=generation.coverage_penalty,
        block_ngram=generation.block_ngram,
    )


def _bounded(name: str, asked: float | None, option: Option, whose: str) -> float:
    if asked is None:
        return option.default
    if not option.min <= asked <= option.max:
        raise OptionOutOfBounds(f"{name} is {asked}; expected {option.min} to {option.max}, which model {whose}")
    return asked


def _of(item: Item) -> str:
    return f"model {item.need_writer().name!r} writes"


def _unusable(item: Item) -> NoUsableText:
    return NoUsableText(f"model {item.model.name!r} knows nothing of the text; expected words it knows")
