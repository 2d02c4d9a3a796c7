"""Rows that come as numbers and not as text: the same queue, batches and graphs, without tokenizing or heads."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInference, TooManyItems
from app.keys.allowance import Allowance
from app.metrics import Metrics
from app.modelpack.summaries import KindName
from app.runtime.classifier import Classifier
from app.runtime.extractor import Extractor, Scored
from app.runtime.model import Model, TextModel
from app.runtime.roster import Draft
from app.runtime.session import Array
from app.runtime.summarizer import Summarizer
from app.runtime.tensors import TensorModel
from app.scheduling.batcher import Batcher
from app.scheduling.decoder import Decoder
from app.scheduling.haste import UNHURRIED, Haste
from app.scheduling.orders import Order
from app.scheduling.ticket import Answer, Lane
from app.settings import Settings
from app.tasks.generate import Options, Summary
from app.tasks.numerals import Numerals

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which rows are answered: the time that they may take, and what the caller's key may still ask for."""

    haste: Haste = UNHURRIED
    allowance: Allowance | None = None

    def take(self, items: int, tokens: int) -> None:
        """Count rows against the key's limit; ``RateLimited`` where they exceed it."""
        if self.allowance is not None:
            self.allowance.take("items", items)
            self.allowance.take("tokens", tokens)


@dataclass(frozen=True, slots=True)
class Rows:
    """Token ids as a caller gives them: ``ids`` int64[n, t], of which row i has ``lens[i]``; ``lens`` int64[n]."""

    ids: Ids
    lens: Ids

    def checked(self, model: TextModel, max_items: int, max_tokens: int) -> list[Ids]:
        """Return each row without its padding; ``InvalidInference`` names what ``model`` cannot read."""
        rows, width = self.ids.shape
        if rows > max_items:
            raise TooManyItems(f"ids has {rows} rows; expected at most {max_items}")
        if not rows or not width:
            raise InvalidInference(f"ids has shape {[rows, width]}; expected at least one row of one token")
        if self.lens.shape != (rows,) or self.lens.min() < 1 or self.lens.max() > width:
            raise InvalidInference(f"lens does not fit; expected {rows} numbers, each 1 to {width}")
        if self.lens.max() > max_tokens:
            raise InvalidInference(
                f"ids has a row of {self.lens.max()} tokens; expected at most {max_tokens}, "
                f"which model {model.name!r} reads"
            )
        found = [row[:length] for row, length in zip(self.ids, self.lens.tolist(), strict=True)]
        size = model.manifest.tokenizer.vocab_size
        if any(row.min() < 0 or row.max() >= size for row in found):
            raise InvalidInference(f"ids has an id that model {model.name!r} does not know; expected 0 to {size - 1}")
        return found


class Arrays:
    """Answers rows of numbers with a model of the caller's choice."""

    def __init__(self, settings: Settings, metrics: Metrics, batcher: Batcher, decoder: Decoder) -> None:
        self._settings = settings
        self._metrics = metrics
        self._batcher = batcher
        self._decoder = decoder

    async def logits(self, model: Classifier, rows: Rows, terms: Terms) -> Floats:
        """Return float32[n, C], before any temperature."""
        checked = rows.checked(model, self._settings.max_items, model.manifest.limits.max_tokens)
        answers = await self._run(model, model.plain, checked, len(checked), terms)
        return np.stack([logits for (logits,) in answers])

    async def scores(self, model: Extractor, rows: Rows, terms: Terms) -> Scored:
        """Return scores and vectors of the sentences of one text, a row each."""
        extraction = model.extraction
        checked = rows.checked(model, extraction.max_sentences, extraction.max_sentence_tokens)
        (scored,) = await self._run(model, model.lane, [model.document(checked)], 1, terms)
        return Scored(*scored)

    async def summaries(
        self, model: Summarizer, rows: Rows, options: Options, kind: KindName, terms: Terms
    ) -> list[Summary]:
        """Return a summary a row, as tokens."""
        checked = rows.checked(model, self._settings.max_items, model.manifest.limits.max_tokens)
        free = not model.generation.digit_ids_only_copied
        terms.take(len(checked), sum(map(len, checked)))
        numerals = [None if free else Numerals(row, model.signs) for row in checked]
        orders = [Order(Draft(row, kind, free), options, own) for row, own in zip(checked, numerals, strict=True)]
        written = await self._decoder.submit(model, orders, self._timeout_s(terms))
        self._count(model, len(checked))
        return written.summaries

    async def tensors(self, model: TensorModel, given: Mapping[str, Array], terms: Terms) -> Answer:
        """Return the graph's outputs in its order; ``given`` has every input, of its type and number of axes."""
        block = model.block(given)
        if block.rows > self._settings.max_items:
            raise TooManyItems(f"the inputs have {block.rows} rows; expected at most {self._settings.max_items}")
        if block.numbers > self._settings.max_tensor_numbers:
            raise TooManyItems(
                f"the inputs have {block.numbers} numbers; expected at most {self._settings.max_tensor_numbers}"
            )
        (answer,) = await self._run(model, model.lane(block), [block], block.rows, terms)
        return answer

    async def _run(self, model: Model, lane: Lane, rows: Sequence[Sized], items: int, terms: Terms) -> list[Answer]:
        terms.take(items, sum(map(len, rows)))
        answers = await self._batcher.submit(lane, rows, self._timeout_s(terms), priority=terms.haste.priority)
        queued = max(0.0, answers.started - answers.submitted)
        self._metrics.of_model(model.name, model.version).queue_seconds.observe(queued)
        self._count(model, items)
        return answers.rows

    def _count(self, model: Model, items: int) -> None:
        self._metrics.items.labels(model.name, model.version, model.manifest.task, "ok").inc(items)

    def _timeout_s(self, terms: Terms) -> float:
        return terms.haste.left_s(self._settings.timeout_ms / 1000)
