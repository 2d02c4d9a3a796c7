"""One request's journey to its summaries, a line per stage: route, read, quote, write, answer."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from app.errors import ItemError, TooManyItems
from app.exchange import Failure
from app.metrics import NO_MODEL, Metrics
from app.runtime.extractor import Extractor
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.runtime.summarizer import Summarizer
from app.scheduling.batcher import Batcher
from app.scheduling.decoder import Decoder
from app.scheduling.orders import Order, Written
from app.settings import Settings
from app.summarizing.parts import Part, Reciter, Tell, finish_reason, joined
from app.summarizing.places import Places
from app.summarizing.reading import Item, read, rewrite_chosen
from app.summarizing.wishes import Delta, Quoted, Summarized, SummaryReply, Wish
from app.tasks.extract import choose
from app.tasks.numerals import Numerals
from app.together import together

_READ_INLINE_CHARS = 2_000
"""Beyond one or two milliseconds of tokenizing, the event loop has better things to do."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is known of a request all along; times on ``time.monotonic``."""

    wish: Wish
    reply: SummaryReply
    started: float
    until: float
    tell: Tell | None

    @property
    def left_s(self) -> float:
        """Seconds until its deadline."""
        return self.until - time.monotonic()


class Summaries:
    """Answers wishes with a registry's packages: the batcher runs those that quote, the decoder those that write."""

    def __init__(
        self, registry: Registry, settings: Settings, metrics: Metrics, batcher: Batcher, decoder: Decoder
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._places = Places(registry, settings.max_item_chars)
        self._batcher = batcher
        self._decoder = decoder

    async def answer(self, wish: Wish) -> SummaryReply:
        """Return every text's summary or error; ``RequestError`` where the whole request is refused."""
        return await self._answer(wish, None)

    async def stream(self, wish: Wish) -> AsyncGenerator[Delta | SummaryReply, None]:
        """Yield the one text's summary as it is decided, and the whole reply last.

        Raises as ``answer`` does, at first or in between. Closing the generator is how its caller leaves.
        """
        told: asyncio.Queue[Delta | None] = asyncio.Queue()
        work = asyncio.create_task(self._answer(wish, told.put_nowait))
        work.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (delta := await told.get()) is not None:
                yield delta
            yield await work
        finally:
            work.cancel()

    async def _answer(self, wish: Wish, tell: Tell | None) -> SummaryReply:
        if len(wish.texts) > self._settings.max_items:
            raise TooManyItems(f"inputs has {len(wish.texts)} texts; expected at most {self._settings.max_items}")
        if wish.allowance is not None:
            wish.allowance.take("items", len(wish.texts))
        reply, started = SummaryReply(), time.monotonic()
        until = started + wish.haste.left_s(self._settings.timeout_ms / 1000)
        request = _Request(wish, reply, started, until, tell)
        items = await self._read(request, self._route(request))
        await self._quote(request, items)
        if tell is None:
            await self._write(request, items)
        else:
            await together([self._write_aloud(request, item, tell) for item in items])
        reply.results = [_result(item, wish) for item in items]
        reply.failures.sort(key=lambda failure: failure.index)
        for item in items:
            self._metrics.items.labels(item.model.name, item.model.version, item.model.manifest.task, "ok").inc()
            self._metrics.count_aliases(item.model.name, item.model.version, [item.aliases.get(item.model)])
        return reply

    def _route(self, request: _Request) -> list[Item]:
        named = self._places.named(request.wish)
        items = []
        for index, text in enumerate(request.wish.texts):
            try:
                items.append(self._places.item(request.wish, named, index, text))
            except ItemError as error:
                self._fail(request, None, Failure(index, error))
        return items

    async def _read(self, request: _Request, items: list[Item]) -> list[Item]:
        """Return the items that can be summarized; the others become failures."""
        wish, streams, started = request.wish, request.tell is not None, time.perf_counter()
        if _chars(items) > _READ_INLINE_CHARS:
            found = await asyncio.to_thread(read, wish, items, streams=streams)
        else:
            found = read(wish, items, streams=streams)
        spent = request.reply.timings.tokenize = time.perf_counter() - started
        ready = []
        for item, error in zip(items, found, strict=True):
            if error is None:
                ready.append(item)
            else:
                self._fail(request, item.writer or item.quoter, Failure(item.index, error))
        if wish.allowance is not None:
            wish.allowance.take("tokens", sum(item.tokens for item in ready))
        for model in {item.model: None for item in ready}:
            self._metrics.of_model(model.name, model.version).tokenize_seconds.observe(spent)
        return ready

    async def _quote(self, request: _Request, items: list[Item]) -> None:
        groups: dict[Extractor, list[Item]] = {}
        for item in items:
            if item.plan.method != "abstractive":
                groups.setdefault(item.need_quoter(), []).append(item)
        await together([self._choose(request, quoter, group) for quoter, group in groups.items()])

    async def _choose(self, request: _Request, quoter: Extractor, items: list[Item]) -> None:
        documents = [quoter.document([tokens.ids for _, tokens in item.sentences]) for item in items]
        answers = await self._batcher.submit(
            quoter.lane, documents, request.left_s, priority=request.wish.haste.priority
        )
        queued = max(0.0, answers.started - answers.submitted)
        self._metrics.of_model(quoter.name, quoter.version).queue_seconds.observe(queued)
        times = request.reply.timings
        times.queue = max(times.queue, queued)
        times.extract = max(times.extract, answers.ended - answers.started)
        count = request.wish.sentences or int(quoter.extraction.sentences.default)
        for item, (scores, vectors) in zip(items, answers.rows, strict=True):
            places = choose(scores, vectors, min(count, len(scores)), quoter.extraction.redundancy)
            item.chosen = [(item.sentences[at][0], float(scores[at])) for at in sorted(map(int, places))]
        again = [item for item in items if item.plan.method == "extract-then-rewrite"]
        if _chars(again) > _READ_INLINE_CHARS:
            await asyncio.to_thread(rewrite_chosen, again)
        else:
            rewrite_chosen(again)

    async def _write(self, request: _Request, items: list[Item]) -> None:
        groups: dict[Summarizer, list[tuple[Part, Order]]] = {}
        for item in items:
            for part in item.parts:
                groups.setdefault(item.need_writer(), []).append((part, _order(item, part)))
        await together([self._write_all(request, writer, work) for writer, work in groups.items()])

    async def _write_all(self, request: _Request, writer: Summarizer, work: list[tuple[Part, Order]]) -> None:
        written = await self._decoder.submit(writer, [order for _, order in work], request.left_s)
        _keep_time(request, written)
        for (part, _), summary in zip(work, written.summaries, strict=True):
            part.end(summary)

    async def _write_aloud(self, request: _Request, item: Item, tell: Tell) -> None:
        """Write an item's parts at the same time, and tell of them one after the other, in the text's order."""
        reciter = Reciter(item.parts, item.language, tell)
        for span, _ in item.chosen if item.plan.method == "extractive" else []:
            reciter.say(item.text[span.start : span.end])
        await together([self._write_part(request, item, at, reciter) for at in range(len(item.parts))])

    async def _write_part(self, request: _Request, item: Item, at: int, reciter: Reciter) -> None:
        orders = [_order(item, item.parts[at])]
        written = await self._decoder.submit(
            item.need_writer(), orders, request.left_s, lambda _, token: reciter.hear(at, token)
        )
        _keep_time(request, written)
        reciter.end(at, written.summaries[0])

    def _fail(self, request: _Request, model: Model | None, failure: Failure) -> None:
        request.reply.failures.append(failure)
        labels = (model.name, model.version, model.manifest.task) if model else (NO_MODEL, NO_MODEL, "summarize")
        self._metrics.items.labels(*labels, failure.error.code).inc()


def _chars(items: list[Item]) -> int:
    return sum(len(item.text) for item in items)


def _order(item: Item, part: Part) -> Order:
    if item.options is None or item.plan.kind is None:
        raise TypeError("This is a bug: a part to be written without options")
    writer = item.need_writer()
    free = not writer.generation.digit_ids_only_copied
    numerals = None if free else Numerals(part.tokens.ids, writer.signs, cut=part.tokens.truncated)
    return Order(part.draft(item.plan.kind, free=free), item.options, numerals)


def _keep_time(request: _Request, written: Written) -> None:
    times = request.reply.timings
    times.queue = max(times.queue, written.started - written.submitted)
    times.generate = max(times.generate, written.ended - (written.started or written.ended))
    if written.first_token:
        first = written.first_token - request.started
        times.first_token = first if times.first_token is None else min(first, times.first_token)


def _result(item: Item, wish: Wish) -> Summarized:
    rewritten = [part.text for part in item.parts]
    quoted = [item.text[span.start : span.end] for span, _ in item.chosen]
    result = Summarized(
        index=item.index,
        text=item.text,
        model=item.model.name,
        version=item.model.package.version,
        language=item.language,
        summary=joined(rewritten if item.parts else quoted, item.language),
        method=item.plan.method,
        kind=item.plan.kind,
        finish_reason=finish_reason(item.parts),
        tokens=item.tokens,
        summary_tokens=sum(len(part.summary.tokens) for part in item.parts if part.summary),
        truncated=item.truncated,
        alias=item.aliases.get(item.model),
    )
    if item.plan.method != "abstractive":
        by_span = {part.span: part.text for part in item.parts}
        result.sentences = [Quoted(span.start, span.end, score, by_span.get(span)) for span, score in item.chosen]
    if wish.explain and item.writer is not None:
        result.explanation = [origin for part in item.parts for origin in part.origins(item.writer.pieces)]
    return result
