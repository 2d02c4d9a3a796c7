"""Chooses each kind's length penalty on dev: what a beam search writes is short unless it is told otherwise."""

from collections.abc import Mapping
from dataclasses import replace

from app.runtime.summarizer import Summarizer
from training.rouge import Rouge, scorer
from training.summarize.config import Kind
from training.summarize.parity import DevDocuments
from training.summarize.written import options_of, write

Figures = dict[Kind, dict[float, float]]
"""Mean ROUGE on dev by kind and length penalty: the mean over the kind's sets of the mean of ROUGE-1, -2 and -L."""


def by_penalty(model: Summarizer, dev: Mapping[str, DevDocuments], penalties: tuple[float, ...]) -> Figures:
    """Return what each penalty gives each kind that has dev sets."""
    found: Figures = {}
    for kind in dict.fromkeys(one.kind for one in dev.values()):
        sets = [one for one in dev.values() if one.kind == kind and one.pairs]
        found[kind] = {
            penalty: sum(_score(model, one, penalty) for one in sets) / len(sets) for penalty in penalties if sets
        }
    return found


def best(figures: Figures) -> dict[Kind, float]:
    """Return each kind's best penalty, the first of equals."""
    return {kind: max(scores, key=scores.__getitem__) for kind, scores in figures.items() if scores}


def _score(model: Summarizer, dev: DevDocuments, penalty: float) -> float:
    options = replace(options_of(model, dev.kind), length_penalty=penalty)
    written = write(model, [pair.document for pair in dev.pairs], dev.kind, options)
    about = scorer(model.manifest.languages[0])
    return Rouge.average(
        [about.score(one.text, [pair.summary]) for one, pair in zip(written, dev.pairs, strict=True)]
    ).mean
