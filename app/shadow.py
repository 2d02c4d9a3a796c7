"""Asks a candidate a share of the texts that were answered, and counts how often it says the same.

Nobody waits for that. A text's turn comes once its answer is on its way, one text at a time, on a thread and under a
watchdog of their own, and only when the callers' queue would take work at once: where that does not come soon the text
is dropped. What the candidate says, or that it fails, is counted and nothing else. A candidate that hangs is asked no
more, since each hang leaves a stuck thread behind.
"""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet

import structlog

from app.errors import DeadlineExceeded, Draining, InferenceHung, NoUsableText, QueueFull, WaitTooLong
from app.exchange import Query, Result
from app.measures.shadows import ShadowSeries
from app.metrics import Metrics
from app.modelpack.manifest import Task
from app.runtime.classifier import Classifier
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.scheduling.batcher import Batcher
from app.scheduling.policy import Priority
from app.scheduling.ticket import Answers, Batch
from app.scheduling.watchdog import Watchdog
from app.tasks.classify import Classified, classified

log = structlog.get_logger("sluice")

MOST_WAITING = 128
"""Texts that wait for their turn; more are dropped."""

_LOOK_S, _LOOKS = 0.005, 40
"""How soon, and how often, a text looks whether no caller waits; the first time its own answer has been written."""
_INLINE_CHARS = 8_000
_JOIN_S = 0.5


class Queue(Protocol):
    """What the callers' requests wait in."""

    def refuse_unless_soon(self, timeout_s: float, priority: Priority = "interactive") -> None:
        """Raise ``WaitTooLong`` where work of a class would have to wait for longer than ``timeout_s``."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A text that was answered, to be put to a version of the same package."""

    name: str
    version: int
    text: str
    answer: Classified
    infer_s: float | None
    """What the answer took in the runtime, where that can be compared."""


class Shadows:
    """Puts texts to the candidates of a registry; on the event loop alone."""

    def __init__(
        self,
        registry: Registry,
        metrics: Metrics,
        *,
        callers: Queue,
        batcher: Batcher,
        watchdog: Watchdog,
        timeout_s: float,
    ) -> None:
        """``callers``: whose requests go first; ``batcher``, ``watchdog``: of the candidates alone, with one thread."""
        self._registry = registry
        self._metrics = metrics
        self._callers = callers
        self._batcher = batcher
        self._watchdog = watchdog
        self._timeout_s = timeout_s
        self._open = False
        self._waiting: deque[_Case] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._given_up: WeakSet[Model] = WeakSet()
        self._complained_of: WeakSet[Model] = WeakSet()

    def start(self) -> None:
        """Take cases from now on."""
        self._watchdog.start()
        self._batcher.start()
        self._open = True

    async def close(self) -> None:
        """Take no more cases and forget those that wait; a run under way is left to itself after half a second."""
        self._open = False
        self._waiting.clear()
        if self._asking is not None:
            self._asking.cancel()
        await asyncio.to_thread(self._batcher.close, _JOIN_S)
        self._watchdog.close()

    def follows(self, name: str) -> bool:
        """Tell whether a package has a candidate, so that its answers are worth an offer to ``consider``."""
        return self._open and name in self._registry.now.candidates

    def consider(self, task: Task, query: Query, results: Sequence[Result], answers: Answers) -> None:
        """Put what one model has answered to its candidate, where there is one and the request is of its share.

        A request that names a version by its number is of no share: its caller wants that version and no other.
        """
        if self.follows(results[0].model) and not isinstance(query.version, int):
            asyncio.get_running_loop().call_soon(self._take, task, query, results, answers)

    def _take(self, task: Task, query: Query, results: Sequence[Result], answers: Answers) -> None:
        name = results[0].model
        candidate = self._registry.now.candidates.get(name)
        if candidate is None or not self._open or candidate.shadow.version == results[0].version:
            return
        if candidate.model.manifest.task != task:
            return
        if not candidate.shadow.takes(name, query.key or str(random.random())):  # noqa: S311 - not for secrets
            return
        version = candidate.shadow.version
        if len(self._waiting) + len(results) > MOST_WAITING:
            self._metrics.of_shadow(name, str(version)).texts["dropped"].inc(len(results))
            return
        infer_s = _alone_s(query, answers)
        self._waiting.extend(_Case(name, version, result.text, result.answer, infer_s) for result in results)
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                await self._ask(self._waiting.popleft())
        finally:
            self._asking = None

    async def _ask(self, case: _Case) -> None:
        candidate = self._registry.now.candidates.get(case.name)
        if candidate is None or candidate.shadow.version != case.version:
            return  # the shadow has ended, and its series may be gone
        series = self._metrics.of_shadow(case.name, str(case.version))
        try:
            outcome = await self._outcome(candidate.model, case, series)
        except (QueueFull, WaitTooLong, DeadlineExceeded, Draining):
            outcome = "dropped"
        except Exception as broken:  # noqa: BLE001 - whatever it is, it concerns no caller
            outcome = "failed"
            self._complain(candidate.model, broken)
        series.texts[outcome].inc()

    def _complain(self, model: Model, broken: Exception) -> None:
        """Give up a candidate that hangs; log what is wrong with one, once."""
        if isinstance(broken, InferenceHung):
            self._given_up.add(model)
        if model not in self._complained_of:
            self._complained_of.add(model)
            log.warning("shadow_failed", model=model.name, version=model.version, error=type(broken).__name__)

    async def _let_callers_go_first(self) -> None:
        """Return once nobody's work waits for a thread; ``WaitTooLong`` where that does not come soon."""
        for left in reversed(range(_LOOKS)):
            await asyncio.sleep(_LOOK_S)
            try:
                self._callers.refuse_unless_soon(0.0, "batch")
            except WaitTooLong:
                if not left:
                    raise
            else:
                return

    async def _outcome(self, model: Model, case: _Case, series: ShadowSeries) -> str:
        if not isinstance(model, Classifier):
            raise TypeError(f"This is a bug: a candidate of {case.name!r} that does not classify")
        if model in self._given_up:
            return "dropped"
        await self._let_callers_go_first()
        if len(case.text) > _INLINE_CHARS:
            (tokens,) = await asyncio.to_thread(model.tokenizer.encode, [case.text])
        else:
            (tokens,) = model.tokenizer.encode([case.text])
        if not tokens.known:
            raise NoUsableText(f"version {case.version} knows nothing of a text that another has answered")
        answers = await self._batcher.submit(model.plain, [tokens.ids], self._timeout_s, priority="batch")
        own = classified(answers.rows[0][0], model.manifest.labels, model.temperature)
        if case.infer_s is not None:
            infer_s = answers.ended - answers.started
            series.serving_seconds.inc(case.infer_s)
            series.candidate_seconds.inc(infer_s)
            series.latency_difference_seconds.observe(infer_s - case.infer_s)
        series.probability_difference.observe(abs(own.scores.get(case.answer.label, 0.0) - case.answer.score))
        return "agreed" if own.label == case.answer.label else "differed"


class Unseen:
    """Counts no batch: what a candidate computes is no caller's, and its times are in the shadow's own metrics."""

    def batch(self, batch: Batch) -> None:
        """Count nothing."""

    def dropped(self, reason: str, rows: int) -> None:
        """Count nothing."""

    def queue(self, rows: int, tokens: int) -> None:
        """Count nothing."""

    def waits(self, seconds: object, lag_s: float) -> None:
        """Count nothing."""

    def waited(self, waits: object) -> None:
        """Count nothing."""


def _alone_s(query: Query, answers: Answers) -> float | None:
    """Return what an answer took in the runtime, without the queue; ``None`` where a candidate does other work for it.

    That is so where several rows were shared out among the threads, where weights of tokens were asked for, and where
    the answer was kept from before.
    """
    seconds = answers.ended - answers.started
    return seconds if len(answers.rows) == 1 and not query.explain and seconds > 0 else None
