"""One request's journey, a line per stage: check, route, tokenize, batch, answer."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from app.cache import Batching
from app.errors import (
    Draining,
    ItemError,
    NotReady,
    NoUsableText,
    QueueFull,
    RateLimited,
    TooManyItems,
    WaitTooLong,
)
from app.exchange import Failure, Labelled, Query, Reply, Result, SentenceAnswer, TokenWeight
from app.keys.allowance import Unit
from app.metrics import NO_MODEL, Metrics
from app.modelpack.manifest import Task
from app.modelpack.plain import Ids
from app.modelpack.tokenizer import Tokens
from app.plain import RECALL_INLINE_CHARS, TOKENIZE_INLINE_CHARS, Job, Plain
from app.routing import Route, Router
from app.runtime.classifier import Classifier, GraphLane
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.scheduling.haste import Haste
from app.scheduling.ticket import Answer, Answers
from app.settings import Settings
from app.shadow import Shadows
from app.tasks.classify import classified, token_weights
from app.text.sentences import Sentence, sentences
from app.together import together

Phase = Literal["starting", "ready", "leaving", "draining"]

_PATIENCE_S = 86_400.0
_ROOM_AGAIN_S = 0.02
"""How soon a patient caller looks again whether the queue has room."""


@dataclass(slots=True)
class _Item:
    """One text on its way."""

    index: int
    text: str
    language: str
    model: Classifier
    alias: str | None
    tokens: Tokens | None = None
    parts: list[tuple[Sentence, Tokens]] = field(default_factory=list)
    left_out: int = 0


class Service:
    """Answers queries with the models of a registry through one batcher."""

    def __init__(
        self, registry: Registry, settings: Settings, metrics: Metrics, batcher: Batching, shadows: Shadows
    ) -> None:
        self.registry = registry
        self.metrics = metrics
        self.phase: Phase = "starting"
        self._failing = False
        self._drained_at = float("inf")
        self._settings = settings
        self._timeout_s = settings.timeout_ms / 1000
        self._router = Router(registry, settings.max_item_chars)
        self._batcher = batcher
        self._shadows = shadows
        self._plain = Plain(self._router, settings, metrics, batcher, shadows)

    def leave(self) -> None:
        """Tell balancers to send no more; what comes all the same, because they do not know yet, is answered."""
        self.phase = "leaving" if self.phase == "ready" else "draining"
        self.metrics.ready.set(0)

    def drain(self) -> None:
        """Take no more work from now on; what is in flight is finished."""
        self.phase = "draining"
        self._drained_at = min(self._drained_at, time.monotonic())
        self.metrics.ready.set(0)

    @property
    def draining_s(self) -> float:
        """For how many seconds it has been draining, below 0 while it does not."""
        return time.monotonic() - self._drained_at

    def set_failing(self, failing: bool) -> None:  # noqa: FBT001 - a setter
        """Say whether the models hang again and again: then readiness says no, and requests are tried all the same."""
        self._failing = failing
        self.tell_ready()

    def tell_ready(self) -> None:
        """Tell the metrics whether traffic is welcome."""
        self.metrics.ready.set(1 if self.phase == "ready" and self.registry.ready and not self._failing else 0)

    def refuse_unless_fit(self) -> None:
        """Raise ``NotReady`` or ``Draining`` where traffic had better go elsewhere."""
        self.refuse_unless_ready()
        if self.phase == "leaving":
            raise Draining("this process is about to stop; send requests to another")
        if self._failing:
            raise NotReady("models hang again and again; the log says which under inference_hung")

    def refuse_unless_ready(self) -> None:
        """Raise ``NotReady`` or ``Draining`` where the service takes no work."""
        if self.phase == "starting":
            raise NotReady("models are still being opened; GET /health/ready tells when they are")
        if self.phase == "draining":
            raise Draining("this process is stopping; send the request to another")
        if not self.registry.ready:
            raise NotReady("no model could be opened; GET /v1/models says why")

    def refuse_unless_soon(self, haste: Haste) -> None:
        """Raise ``WaitTooLong`` where a prediction would wait too long, whatever it is about."""
        self._batcher.refuse_unless_soon(haste.left_s(self._timeout_s), haste.priority)

    async def answer(self, task: Task, query: Query) -> Reply:
        """Return every text's answer or error; ``RequestError`` where the whole request is refused."""
        self.refuse_unless_ready()
        if len(query.texts) > self._settings.max_items:
            raise TooManyItems(f"inputs has {len(query.texts)} texts; expected at most {self._settings.max_items}")
        return await self.answer_admitted(task, query)

    async def answer_admitted(self, task: Task, query: Query) -> Reply:
        """Answer as ``answer`` does, however many texts and while draining too: a stream was admitted at its head."""
        await self._take(query, "items", len(query.texts))
        reply = Reply()
        groups = self._route(task, query, reply)
        await together([self._group(task, query, model, items, reply) for model, items in groups.items()])
        reply.results.sort(key=lambda result: result.index)
        reply.failures.sort(key=lambda failure: failure.index)
        return reply

    def start(self, task: Task, query: Query) -> Job | None:
        """Queue a plain request, as ``Plain.start`` does; ``None`` where it is not plain, or this service stops."""
        return self._plain.start(task, query) if self.phase == "ready" else None

    def finish(self, job: Job) -> Labelled:
        """Return the answers to a job whose ticket is answered; what the ticket's future raises where it failed."""
        return self._plain.finish(job, shadowed=self.phase == "ready")

    def give_up(self, job: Job) -> None:
        """Give a job's ticket back: it is finished, or nobody waits for it any more."""
        self._batcher.withdraw(job.ticket)

    def _route(self, task: Task, query: Query, reply: Reply) -> dict[Classifier, list[_Item]]:
        groups: dict[Classifier, list[_Item]] = {}
        for index, text, route in self._routed(task, query, reply):
            model, language, alias = route
            if not isinstance(model, Classifier):
                raise TypeError(f"This is a bug: {model.name!r} answers for {task!r} and does not classify")
            groups.setdefault(model, []).append(_Item(index, text, language, model, alias))
        return groups

    def _routed(self, task: Task, query: Query, reply: Reply) -> Iterator[tuple[int, str, Route]]:
        """Yield the texts that a model answers, each with its place and its route; the others become failures."""
        named = self._router.named(task, query)
        routes: dict[str | None, Route] = {}
        for index, text in enumerate(query.texts):
            try:
                self._router.check(text)
                code = self._router.language(text, query.language)
                route = routes.get(code)
                if route is None:
                    route = routes[code] = self._router.find(task, code, named, query.version, query.key)
            except ItemError as error:
                self._fail(reply, task, None, Failure(index, error))
            else:
                yield index, text, route

    async def _group(self, task: Task, query: Query, model: Classifier, items: list[_Item], reply: Reply) -> None:
        ready = await self._tokenized(task, query, model, items, reply)
        if not ready:
            return
        rows = [tokens.ids for item in ready for tokens in _all_tokens(item)]
        await self._take(query, "tokens", sum(map(len, rows)))
        answers = await self._submit(query, model.explained if query.explain else model.plain, rows)
        self._collect(task, query, ready, answers, reply)

    def _collect(self, task: Task, query: Query, items: list[_Item], answers: Answers, reply: Reply) -> None:
        """Add the results of one model's items to a reply, and count them."""
        model = items[0].model
        queued = max(0.0, answers.started - answers.submitted)
        series = self.metrics.of_model(model.name, model.version)
        series.queue_seconds.observe(queued)
        series.answered[task].inc(len(items))
        reply.timings.join(queued, answers.ended - answers.started)
        at = iter(answers.rows)
        for item in items:
            reply.results.append(_result(item, query, list(islice(at, 1 + len(item.parts)))))
        if aliases := [item.alias for item in items if item.alias is not None]:
            self.metrics.count_aliases(model.name, model.version, aliases)
        if self.phase == "ready":
            self._shadows.consider(task, query, reply.results[-len(items) :], answers)

    async def _take(self, query: Query, unit: Unit, count: int) -> None:
        """Use up the caller's allowance; ``RateLimited`` where it does not hold as much and nobody would wait."""
        while query.allowance is not None:
            try:
                query.allowance.take(unit, count)
            except RateLimited as limited:
                if not query.patient or count > query.allowance.most(unit):
                    raise
                await asyncio.sleep(limited.retry_after_s or 1)
            else:
                return

    async def _submit(self, query: Query, lane: GraphLane, rows: list[Ids]) -> Answers:
        timeout_s = _PATIENCE_S if query.patient else query.haste.left_s(self._timeout_s)
        while True:
            try:
                return await self._batcher.submit(lane, rows, timeout_s, priority=query.haste.priority)
            except (QueueFull, WaitTooLong):
                if not query.patient:
                    raise
            await asyncio.sleep(_ROOM_AGAIN_S)

    async def _tokenized(
        self, task: Task, query: Query, model: Classifier, items: list[_Item], reply: Reply
    ) -> list[_Item]:
        """Return the items with their tokens; those without a known token become failures."""
        started = time.perf_counter()
        chars = sum([len(item.text) for item in items])
        if chars <= TOKENIZE_INLINE_CHARS:
            self._tokenize(query, model, items)
        elif chars > RECALL_INLINE_CHARS or not _recalled(query, model, items):
            await asyncio.to_thread(self._tokenize, query, model, items)
        spent = time.perf_counter() - started
        self.metrics.of_model(model.name, model.version).tokenize_seconds.observe(spent)
        reply.timings.tokenize += spent
        ready = []
        for item in items:
            if item.tokens is not None and item.tokens.known:
                ready.append(item)
            else:
                error = NoUsableText(f"model {model.name!r} knows nothing of the text; expected words it knows")
                self._fail(reply, task, model, Failure(item.index, error))
        return ready

    def _tokenize(self, query: Query, model: Classifier, items: list[_Item]) -> None:
        """Cut each item's text, and each of its sentences where asked, in one call of the tokenizer."""
        spans: list[list[Sentence]] = [[] for _ in items]
        if query.sentences:
            for item, own in zip(items, spans, strict=True):
                found = sentences(item.text, item.language)
                own.extend(found[: self._settings.max_sentences])
                item.left_out = len(found) - len(own)
        texts = [item.text for item in items]
        texts += [item.text[s.start : s.end] for item, own in zip(items, spans, strict=True) for s in own]
        cut = iter(model.tokenizer.encode(texts, with_offsets=query.explain))
        for item in items:
            item.tokens = next(cut)
        for item, own in zip(items, spans, strict=True):
            item.parts = [(span, tokens) for span, tokens in ((span, next(cut)) for span in own) if tokens.known]

    def _fail(self, reply: Reply, task: Task, model: Model | None, failure: Failure) -> None:
        reply.failures.append(failure)
        labels = (model.name, model.version) if model else (NO_MODEL, NO_MODEL)
        self.metrics.items.labels(*labels, task, failure.error.code).inc()


def _recalled(query: Query, model: Classifier, items: list[_Item]) -> bool:
    """Give each item the tokens of its text, where no more is asked for and every word was cut before; tell whether."""
    if query.explain or query.sentences:
        return False
    found = model.tokenizer.recall([item.text for item in items])
    for item, tokens in zip(items, found or (), strict=False):
        item.tokens = tokens
    return found is not None


def _all_tokens(item: _Item) -> list[Tokens]:
    return ([item.tokens] if item.tokens is not None else []) + [tokens for _, tokens in item.parts]


def _result(item: _Item, query: Query, answers: list[Answer]) -> Result:
    model, tokens = item.model, item.tokens
    if tokens is None:
        raise RuntimeError("This is a bug: an answer to a text that was not cut")
    labels = model.manifest.labels
    whole, *parts = [classified(answer[0], labels, model.temperature) for answer in answers]
    result = Result(
        index=item.index,
        text=item.text,
        model=model.name,
        version=model.manifest.version,
        language=item.language,
        tokens=len(tokens.ids),
        truncated=tokens.truncated,
        answer=whole,
        alias=item.alias,
    )
    if query.explain:
        weights = token_weights(answers[0][1], labels.index(whole.label))
        result.explanation = [
            TokenWeight(start, end, weight) for (start, end), weight in zip(tokens.offsets or [], weights, strict=True)
        ]
    if query.sentences:
        spans = [span for span, _ in item.parts]
        result.sentences = [SentenceAnswer(s.start, s.end, own) for s, own in zip(spans, parts, strict=True)]
        result.sentences_left_out = item.left_out
    return result
