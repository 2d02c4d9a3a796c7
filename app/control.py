"""Changes what is served while it is served, here or in all processes at once.

A process alone prepares a change and then lets it take place. One of several asks the supervisor (``app.conductor``),
which has every process prepare it, and lets it take place once all of them are ready, or nowhere. What they say to one
another are the values of this module, over a pipe.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import structlog

from app.errors import ChangeRefused, InternalError, RequestError
from app.metrics import Metrics
from app.presence import Presence
from app.runtime.changes import Change, Outcome, Plan, Reload, action
from app.runtime.memory import trim
from app.runtime.model import Model
from app.runtime.registry import Prepared, Registry
from app.runtime.threads import step_back

log = structlog.get_logger("sluice")


@dataclass(frozen=True, slots=True)
class Opened:
    """A worker has opened what it was told to."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker cannot start, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks a worker for a change."""

    ticket: int
    change: Change


@dataclass(frozen=True, slots=True)
class Prepare:
    """The supervisor has a worker prepare a change."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True)
class Vote:
    """A worker's answer: what is open once it commits, or why it cannot."""

    number: int
    plan: Plan | None
    outcome: Outcome = Outcome()  # noqa: RUF009 - it never changes
    error: RequestError | None = None


@dataclass(frozen=True, slots=True)
class Decide:
    """The supervisor lets what a worker has prepared take place or, where there is an ``error``, has it forgotten."""

    number: int
    change: Change
    error: RequestError | None
    counts: bool
    """Whether this worker counts the change, which is one however many processes make it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A worker serves what was committed."""

    number: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of the change that a worker asked for: how many processes made it, or why none did."""

    ticket: int
    outcome: Outcome = Outcome()  # noqa: RUF009 - it never changes
    workers: int = 0
    error: RequestError | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a change did, in so many processes."""

    outcome: Outcome
    workers: int


@dataclass(frozen=True, slots=True)
class Link:
    """A worker's end of the pipe to the supervisor, and what it is to open at its start."""

    pipe: Connection
    plan: Plan


class Control:
    """Opens what is served, and changes it; on the event loop, but for what takes long."""

    def __init__(
        self,
        registry: Registry,
        metrics: Metrics,
        warm: Callable[[Model], None],
        changed: Callable[[], None],
        link: Link | None = None,
    ) -> None:
        """``warm`` is called in a thread with each model that is opened, before it serves; ``changed`` once it does."""
        self._registry = registry
        self._metrics = metrics
        self._presence = Presence(metrics)
        self._warm = warm
        self._changed = changed
        self._link = link
        self._turn = asyncio.Lock()
        # of its own, because it can never come forward again; and one, so that what it leaves in its heap is used again
        self._opener = ThreadPoolExecutor(1, "opener", step_back)
        self._is_open = asyncio.Event()
        self._prepared: tuple[int, Prepared] | None = None
        self._forgotten = -1
        self._tickets: dict[int, asyncio.Future[Answered]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open every package of the folder or, as one of several processes, what the supervisor says."""
        async with self._turn:
            plan = self._link.plan if self._link is not None else None
            prepared = await asyncio.to_thread(self._registry.prepare_all, plan)
            await self._warmed(prepared)
            self._put(prepared)
        self._is_open.set()
        if self._link is not None:
            self._listen(self._link)
            self._link.pipe.send(Opened(self._registry.now.plan))

    async def change(self, change: Change) -> Report:
        """Make a change everywhere and return what it did; ``RequestError`` where it was made nowhere."""
        await self._is_open.wait()
        if self._link is not None:
            answered = await self._ask(self._link, change)
            if answered.error is not None:
                raise answered.error
            return Report(answered.outcome, answered.workers)
        async with self._turn:
            try:
                prepared = await self._ready(change)
            except RequestError as refused:
                self._refused(change, refused)
                raise
            self._put(prepared)
            self._done(change, prepared.outcome)
        return Report(prepared.outcome, 1)

    async def reload(self) -> None:
        """Bring what is open in line with the models folder, for nobody who waits for an answer: the log tells."""
        with contextlib.suppress(RequestError):
            await self.change(Reload())

    def reload_soon(self) -> None:
        """Do what ``reload`` does, in a task of its own."""
        self._spawn(self.reload())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ready(self, change: Change) -> Prepared:
        """Prepare a change behind the threads that serve; only what is timed on the way runs beside them."""
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._opener, self._registry.prepare, change)
        await self._warmed(prepared)
        return prepared

    async def _warmed(self, prepared: Prepared) -> None:
        await asyncio.to_thread(self._warm_new, prepared)

    def _warm_new(self, prepared: Prepared) -> None:
        known = set(map(id, self._registry.ready))
        for model in prepared.snapshot.ready:
            if id(model) not in known:
                self._warm(model)
        trim()  # opening leaves files, and graphs before they were optimized

    def _done(self, change: Change, outcome: Outcome) -> None:
        self._metrics.changes.labels(action(change), "done").inc()
        log.info("models_changed", action=action(change), **told(outcome))

    def _put(self, prepared: Prepared) -> None:
        before = self._registry.now
        self._registry.commit(prepared)
        self._presence.follow(before, prepared.snapshot)
        for name, reason in prepared.ended.items():
            log.warning("shadow_ended", model=name, reason=reason)
        self._changed()

    def _refused(self, change: Change, error: RequestError) -> None:
        self._metrics.changes.labels(action(change), "refused").inc()
        log.error("change_refused", action=action(change), reason=str(error))

    async def _ask(self, link: Link, change: Change) -> Answered:
        ticket = max(self._tickets, default=0) + 1
        waiting: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._tickets[ticket] = waiting
        try:
            link.pipe.send(Asked(ticket, change))
        except OSError:
            self._lost()
        try:
            return await waiting
        finally:
            del self._tickets[ticket]

    def _listen(self, link: Link) -> None:
        loop = asyncio.get_running_loop()

        def hear() -> None:
            while True:
                try:
                    said = link.pipe.recv()
                    loop.call_soon_threadsafe(self._heard, link, said)
                except (EOFError, OSError):  # the supervisor has ended, and this process is about to
                    loop.call_soon_threadsafe(self._lost)
                    return

        threading.Thread(target=hear, name="control", daemon=True).start()

    def _lost(self) -> None:
        for ticket in list(self._tickets):
            self._answer(Answered(ticket, error=ChangeRefused("the supervisor is gone; this process is about to stop")))

    def _answer(self, answered: Answered) -> None:
        waiting = self._tickets.get(answered.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(answered)

    def _heard(self, link: Link, said: object) -> None:
        match said:
            case Prepare(number, change):
                self._spawn(self._prepare(link, number, change))
            case Decide():
                self._decide(link, said)
            case Answered():
                self._answer(said)
            case _:
                raise TypeError(f"This is a bug: the supervisor said {said!r}")

    async def _prepare(self, link: Link, number: int, change: Change) -> None:
        async with self._turn:
            try:
                prepared = await self._ready(change)
            except RequestError as refused:
                vote = Vote(number, None, error=refused)
            except Exception:
                log.exception("change_failed", action=action(change))
                vote = Vote(number, None, error=InternalError("a process failed; its log has the cause"))
            else:
                if number > self._forgotten:  # or the supervisor has given up waiting
                    self._prepared = number, prepared
                vote = Vote(number, prepared.snapshot.plan, prepared.outcome)
            link.pipe.send(vote)

    def _decide(self, link: Link, decided: Decide) -> None:
        held, self._prepared = self._prepared, None
        self._forgotten = decided.number
        if decided.error is not None:
            if decided.counts:
                self._refused(decided.change, decided.error)
        elif held is not None and held[0] == decided.number:
            self._put(held[1])
            if decided.counts:
                self._done(decided.change, held[1].outcome)
            link.pipe.send(Done(decided.number))


def told(outcome: Outcome) -> dict[str, object]:
    """Return an outcome as logs and answers give it."""
    return {
        "loaded": [f"{name}/{version}" for name, version in outcome.loaded],
        "unloaded": [f"{name}/{version}" for name, version in outcome.unloaded],
        "refused": [{"model": key[0], "version": key[1], "reason": why} for key, why in outcome.refused.items()],
    }
