"""Plain requests: one model answers all texts, nothing but the label is asked, and every text is short enough.

They are most of what comes, so they go in columns from the body to the answer, without an object a text. Whatever is
not plain is left to ``Service.answer``, which says what is wrong with it, too.
"""

import time
from dataclasses import dataclass

from app.cache import Batching, Queued
from app.errors import ItemError, RequestError
from app.exchange import Labelled, Query, Result, Timings
from app.metrics import Metrics
from app.modelpack.manifest import Task
from app.modelpack.tokenizer import Tokens
from app.routing import Router
from app.runtime.classifier import Classifier
from app.scheduling.ticket import Answers
from app.settings import Settings
from app.shadow import Shadows
from app.tasks.classify import classified, rounded

TOKENIZE_INLINE_CHARS = 8_000
"""Half a millisecond of tokenizing, by `python -m benchmarks.documents`: the event loop has better things to do."""
RECALL_INLINE_CHARS = 4 * TOKENIZE_INLINE_CHARS
"""The same where each word was cut before."""


@dataclass(slots=True)
class Job:
    """A plain request whose texts all wait in one queue: what ``Plain.start`` gives and ``Plain.finish`` takes."""

    task: Task
    query: Query
    model: Classifier
    alias: str | None
    languages: list[str]
    tokens: list[Tokens]
    ticket: Queued
    tokenize_s: float


class Plain:
    """Starts and finishes plain requests."""

    def __init__(
        self,
        router: Router,
        settings: Settings,
        metrics: Metrics,
        batcher: Batching,
        shadows: Shadows,
    ) -> None:
        self._router = router
        self._metrics = metrics
        self._batcher = batcher
        self._shadows = shadows
        self._max_items = settings.max_items
        self._timeout_s = settings.timeout_ms / 1000

    def start(self, task: Task, query: Query) -> Job | None:
        """Queue a request in this turn of the event loop, without a task of its own; ``None`` where it is not plain.

        Raises ``RateLimited``, ``QueueFull`` and ``Draining``, as ``Service.answer`` does.
        """
        texts = query.texts
        if query.explain or query.sentences or len(texts) > self._max_items:
            return None
        chars = sum(map(len, texts))
        if chars > RECALL_INLINE_CHARS:
            return None
        try:
            route = self._router.shared(task, query)
        except (ItemError, RequestError):
            return None
        if route is None:
            return None
        model, alias, languages = route
        if not isinstance(model, Classifier):
            raise TypeError(f"This is a bug: {model.name!r} answers for {task!r} and does not classify")
        started = time.perf_counter()
        tokenizer = model.tokenizer
        tokens = tokenizer.encode(texts) if chars <= TOKENIZE_INLINE_CHARS else tokenizer.recall(texts)
        spent = time.perf_counter() - started
        rows = [each.ids for each in tokens or () if each.known]
        if tokens is None or len(rows) < len(tokens):
            return None
        if query.allowance is not None:
            query.allowance.take("items", len(rows))
            query.allowance.take("tokens", sum(map(len, rows)))
        haste = query.haste
        ticket = self._batcher.enqueue(model.plain, rows, haste.left_s(self._timeout_s), priority=haste.priority)
        return Job(task, query, model, alias, languages, tokens, ticket, spent)

    def finish(self, job: Job, *, shadowed: bool) -> Labelled:
        """Return the answers to a job whose ticket is answered; what the ticket's future raises where it failed.

        ``shadowed``: a candidate may be asked too, where there is one.
        """
        answers = job.ticket.future.result()
        model, tokens = job.model, job.tokens
        queued_s = max(0.0, answers.started - answers.submitted)
        series = self._metrics.of_model(model.name, model.version)
        series.tokenize_seconds.observe(job.tokenize_s)
        series.queue_seconds.observe(queued_s)
        series.answered[job.task].inc(len(tokens))
        if job.alias is not None:
            self._metrics.count_aliases(model.name, model.version, [job.alias] * len(tokens))
        if shadowed and self._shadows.follows(model.name):
            self._shadows.consider(job.task, job.query, _results(job, answers), answers)
        return Labelled(
            model=model.name,
            version=model.manifest.version,
            alias=job.alias,
            languages=job.languages,
            tokens=[len(each.ids) for each in tokens],
            truncated=[each.truncated for each in tokens],
            answers=rounded([logits for (logits,) in answers.rows], model.manifest.labels, model.temperature),
            timings=Timings(job.tokenize_s, queued_s, answers.ended - answers.started),
        )


def _results(job: Job, answers: Answers) -> list[Result]:
    """Return what ``Service.answer`` would have: a value a text."""
    manifest = job.model.manifest
    each = zip(job.query.texts, job.languages, job.tokens, answers.rows, strict=True)
    return [
        Result(
            index=index,
            text=text,
            model=job.model.name,
            version=manifest.version,
            language=language,
            tokens=len(tokens.ids),
            truncated=tokens.truncated,
            answer=classified(logits, manifest.labels, job.model.temperature),
            alias=job.alias,
        )
        for index, (text, language, tokens, (logits,)) in enumerate(each)
    ]
