"""What a packed extractor quotes, through the code that serves it: splitter, tokenizer, graph, choice."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.modelpack.manifest import Precision
from app.modelpack.store import latest, open_package
from app.runtime.extractor import Extractor, Scored
from app.runtime.opening import open_model
from app.runtime.providers import choose as choose_provider
from app.tasks.extract import choose
from app.text.sentences import sentences
from training.baselines.quoting import joined
from training.errors import DataError


@dataclass(frozen=True, slots=True)
class Read:
    """A document's sentences that the network reads, in order, and what it says of them."""

    sentences: list[str]
    scored: Scored


def open_extractor(path: Path, precision: Precision | None = None) -> Extractor:
    """Open a package, <models>/<name>/<version> or <models>/<name>; `DataError` where it is none that quotes."""
    folder = path if (path / "manifest.json").exists() else latest(path)
    model = open_model(open_package(folder.resolve()), choose_provider("cpu"), precision or "auto")
    if not isinstance(model, Extractor):
        raise DataError(f"{path}: task {model.manifest.task!r}, expected a package that quotes")
    return model


def read(model: Extractor, text: str) -> Read:
    """Score the first sentences of a text; those without any token are left out, as in the service."""
    spans = sentences(text, model.manifest.languages[0])[: model.extraction.max_sentences]
    tokens = model.tokenizer.encode([text[one.start : one.end] for one in spans])
    kept = [(span, one) for span, one in zip(spans, tokens, strict=True) if len(one.ids)]
    said = [text[span.start : span.end] for span, _ in kept]
    if not kept:
        return Read([], Scored(np.zeros(0, np.float32), np.zeros((0, 1), np.float32)))
    (scored,) = model.lane.run([model.document([one.ids for _, one in kept])])
    return Read(said, scored)


def quote(found: Read, count: int, redundancy: float, language: str) -> str:
    """Return the chosen sentences as one text."""
    places = choose(found.scored.scores, found.scored.vectors, count, redundancy)
    return joined([found.sentences[at] for at in places], language)


def quotes(model: Extractor, texts: Sequence[str], count: int | None = None) -> tuple[list[str], float]:
    """Return what is quoted of each text, by default as many sentences as the package's own, and the CPU seconds."""
    started = time.process_time()
    wanted = count or int(model.extraction.sentences.default)
    language, weight = model.manifest.languages[0], model.extraction.redundancy
    said = [quote(read(model, text), wanted, weight, language) for text in texts]
    return said, time.process_time() - started
