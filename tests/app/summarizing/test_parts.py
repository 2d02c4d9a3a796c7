"""Parts that are written at the same time are told of one after the other, and add up to the whole."""

import random
from collections.abc import Sequence

import pytest

from app.modelpack.store import open_package
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.summarizer import Summarizer
from app.summarizing.parts import Part, Reciter, finish_reason, joined
from app.tasks.detokenize import Spelling
from app.tasks.generate import Reason, Summary, Token
from app.text.sentences import Sentence, sentences
from tests.parrot import parrot

TEXT = "The quick Brown fox. Over the lazy dog! It was 7 o'clock?"


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Summarizer:
    model = open_model(open_package(parrot(tmp_path_factory.mktemp("en"))), choose("cpu"))
    assert isinstance(model, Summarizer)
    return model


def parts_of(writer: Summarizer, spans: Sequence[Sentence]) -> list[Part]:
    cut = writer.tokenizer.encode([TEXT[span.start : span.end] for span in spans], with_offsets=True)
    return [Part.of(writer, TEXT, Spelling(TEXT), span, own) for span, own in zip(spans, cut, strict=True)]


def repeated(part: Part, reason: Reason = "eos") -> Summary:
    return Summary([Token(int(token), -0.1, 1.0, at) for at, token in enumerate(part.tokens.ids)], -1.0, reason)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_order_tokens_come_in_the_text_is_told_in_its_own(writer: Summarizer, seed: int) -> None:
    spans = sentences(TEXT, "en")
    parts = parts_of(writer, spans)
    said: list[tuple[str, int]] = []
    reciter = Reciter(parts, "en", lambda delta: said.append((delta.text, delta.tokens)))
    left = [[*repeated(part).tokens] for part in parts]
    numbers = random.Random(seed)  # noqa: S311 - reproducible, no secret
    while waiting := [at for at, part in enumerate(parts) if part.summary is None]:
        at = numbers.choice(waiting)
        if left[at]:
            reciter.hear(at, left[at].pop(0))
        else:
            reciter.end(at, repeated(parts[at]))
    assert "".join(text for text, _ in said) == TEXT == joined([part.text for part in parts], "en")
    assert [tokens for _, tokens in said] == sorted(tokens for _, tokens in said)


def test_a_part_alone_gives_the_same_text_whether_its_tokens_were_heard_or_not(writer: Summarizer) -> None:
    heard, unheard = parts_of(writer, [Sentence(0, len(TEXT))] * 2)
    for token in repeated(heard).tokens[:5]:
        heard.hear(token)
    for part in (heard, unheard):
        part.end(repeated(part))
    assert heard.text == unheard.text == TEXT


def test_where_tokens_looked_is_told_in_the_whole_text(writer: Summarizer) -> None:
    (part,) = parts_of(writer, sentences(TEXT, "en")[1:2])
    part.end(repeated(part))
    origins = part.origins(writer.pieces)
    assert [TEXT[one.start : one.end] for one in origins][:2] == ["Over", " the"]
    assert all(one.copied for one in origins)


def test_parts_end_for_the_worst_of_their_reasons(writer: Summarizer) -> None:
    parts = parts_of(writer, sentences(TEXT, "en"))
    assert finish_reason(parts) is None
    for part, reason in zip(parts, ("eos", "length", "eos"), strict=True):
        part.end(repeated(part, reason))  # type: ignore[arg-type]
    assert finish_reason(parts) == "length"


def test_chinese_sentences_are_joined_without_a_space() -> None:
    assert joined(["好。", "", "很好。"], "zh") == "好。很好。"
    assert joined(["Good.", "", "Very."], "en") == "Good. Very."
