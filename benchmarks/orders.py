"""Texts to be summarized, with summaries whose lengths are set: what a step costs is measured, and not what is said."""

import random
from dataclasses import dataclass
from typing import Any

from app.modelpack.summaries import Kind, KindName
from app.runtime.roster import Draft
from app.runtime.summarizer import Summarizer
from app.scheduling.orders import Order
from app.tasks.generate import Options
from app.tasks.numerals import Numerals
from benchmarks.texts import texts

_COUNT = 512
_MEDIAN_TOKENS, _SIGMA = 12, 0.9


@dataclass(frozen=True, slots=True)
class Work:
    """Orders, and the same as the bodies of requests."""

    orders: list[Order]
    bodies: list[dict[str, Any]]

    @property
    def mean_tokens(self) -> float:
        """Tokens of a summary."""
        return sum(order.options.max_tokens for order in self.orders) / len(self.orders)


def mixed(model: Summarizer, beams: int, seed: int = 20261121) -> Work:
    """Return texts of mixed length, each to be summed up in exactly n tokens, n log-normal with a median of 12.

    ``min_tokens`` and ``max_tokens`` are both n, within what the package lets a request ask for.
    """
    name, kind = _widest(model)
    least, most = _bounds(kind)
    numbers = random.Random(seed)  # noqa: S311 - a reproducible load, no secret
    sources = texts("mixed", _COUNT)
    orders, bodies = [], []
    for text, tokens in zip(sources, model.tokenizer.encode(sources), strict=True):
        count = min(most, max(least, round(numbers.lognormvariate(0, _SIGMA) * _MEDIAN_TOKENS)))
        generation = model.generation
        options = Options(
            count,
            min_tokens=count,
            beams=beams,
            length_penalty=kind.length_penalty.default,
            coverage_penalty=generation.coverage_penalty,
            block_ngram=generation.block_ngram,
        )
        free = not generation.digit_ids_only_copied
        numerals = None if free else Numerals(tokens.ids, model.signs, cut=tokens.truncated)
        orders.append(Order(Draft(tokens.ids, name, free=free), options, numerals))
        asked = {"method": "abstractive", "kind": name, "model": model.name, "beams": beams}
        bodies.append({"inputs": text, "min_tokens": count, "max_tokens": count, **asked})
    return Work(orders, bodies)


def _widest(model: Summarizer) -> tuple[KindName, Kind]:
    """Return the kind of summary whose length a request may set most freely."""
    kinds = model.generation.kinds
    name = max(kinds, key=lambda each: _bounds(kinds[each])[1] - _bounds(kinds[each])[0])
    return name, kinds[name]


def _bounds(kind: Kind) -> tuple[int, int]:
    least = max(1, kind.min_tokens.min, kind.max_tokens.min)
    return int(least), int(min(kind.min_tokens.max, kind.max_tokens.max))
