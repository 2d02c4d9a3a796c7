"""The service with a stopwatch at the border of each stage: what it costs in CPU, less the stages within it.

    python -m benchmarks.stopwatch FILE

serves as ``sluice serve`` does and, at each SIGUSR1, writes to FILE what every stage has used since the one before, in
nanoseconds. Each thread's own CPU clock is read, so that waiting costs nothing; what the reading costs is measured and
taken off.
"""

import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any

_UVICORN = "uvicorn.protocols.http.httptools_impl"
LOOP, OTHER = "event loop and sockets", "other threads"
STAGES: dict[str, tuple[str, ...]] = {
    "HTTP parse": (
        f"{_UVICORN}:HttpToolsProtocol.data_received",
        "app.api.wire:Wire.data_received",
        "app.api.wire:Wire.take_known",
    ),
    "guard": ("app.api.access:Access.admit", "app.api.guard:Guard.__call__", "app.api.express:Express.vet"),
    "routes (Starlette, FastAPI)": (
        f"{_UVICORN}:RequestResponseCycle.run_asgi",
        "starlette.middleware.exceptions:ExceptionMiddleware.__call__",
    ),
    "validation": ("app.api.express:parse_request", "app.api.predict:parse_request"),
    "routing": ("app.service:Service._plain_items", "app.service:Service._route", "app.routing:Router.shared"),
    "normalize and tokenize": (*(f"app.modelpack.tokenizer:TextTokenizer.{name}" for name in ("encode", "recall")),),
    "queue and hand-over": (
        *(f"app.scheduling.batcher:Batcher.{name}" for name in ("submit", "enqueue", "withdraw", "_wake", "done")),
        *(f"app.scheduling.runner:Runner.{name}" for name in ("_run_all", "_run", "_tell")),
        "app.scheduling.queue:Waiting.wait",
    ),
    "cache": tuple(f"app.cache:Cache.{name}" for name in ("enqueue", "withdraw", "_landed")),
    "padding": ("app.runtime.classifier:GraphLane.run",),
    "inference": ("app.runtime.session:Session.run",),
    "task head": ("app.service:classified", "app.service:classify", "app.plain:rounded"),
    "service": (
        *("app.service:Service.answer", "app.service:Service.start", "app.service:Service.finish"),
        "app.api.express:Express.begin",
    ),
    "serialization": (
        "app.api.predict:answer_body",
        "app.api.predict:labelled_body",
        "app.api.express:Parcel.answer",
        "app.api.predict:json_response",
    ),
    "write": (f"{_UVICORN}:RequestResponseCycle.send", "app.api.wire:_Exchange.write"),
    "metrics and log": (
        *("app.api.ledger:Ledger.open", "app.api.ledger:Ledger.close", "app.api.guard:Guard._count"),
        *("app.scheduling.observer:BatchObserver.batch", "app.scheduling.observer:BatchObserver.queue"),
    ),
}
"""The functions that a stage is made of, as ``module:name``; those that an older version has not are left out."""

_CALIBRATION = 20_000


class Stopwatch:
    """CPU nanoseconds and calls by stage; each thread has its own, so that none waits for another."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._all: list[_OfThread] = []

    def of_thread(self) -> "_OfThread":
        """Return this thread's record."""
        try:
            found: _OfThread = self._own.record
        except AttributeError:
            found = self._own.record = _OfThread()
            self._all.append(found)
        return found

    def records(self) -> list["_OfThread"]:
        """Return the record of each thread that ever passed a stage."""
        return self._all

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a stopwatch around it, or around each step of it where it is a coroutine's."""
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def stepping(*args: Any, **kwargs: Any) -> Any:
                return await _Steps(self, stage, function(*args, **kwargs))

            return stepping

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            record = self.of_thread()
            record.enter(stage)
            try:
                return function(*args, **kwargs)
            finally:
                record.leave()

        return timed


class _OfThread:
    """One thread's times: of the stages that are open, the innermost runs."""

    def __init__(self) -> None:
        self.thread = threading.get_native_id()
        self._open: list[str] = []
        self._since = 0
        self.reset()

    def reset(self) -> None:
        """Forget what was, but for the stages that are open."""
        self.spent_ns: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.inner: Counter[str] = Counter()
        """How many stages within the stage were passed."""

    def enter(self, stage: str) -> None:
        """Begin a stage, within the one that is open."""
        now = time.thread_time_ns()
        if self._open:
            parent = self._open[-1]
            self.spent_ns[parent] += now - self._since
            self.inner[parent] += 1
        self.calls[stage] += 1
        self._open.append(stage)
        self._since = time.thread_time_ns()

    def leave(self) -> None:
        """End the innermost stage."""
        now = time.thread_time_ns()
        stage = self._open.pop()
        self.spent_ns[stage] += now - self._since
        self._since = time.thread_time_ns()


class _Steps:
    """Awaits a coroutine, with the stopwatch running while it does."""

    def __init__(self, watch: Stopwatch, stage: str, work: Coroutine[Any, Any, Any]) -> None:
        self._watch, self._stage, self._work = watch, stage, work

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        advance: Callable[[], Any] = steps.__next__
        while True:
            record = self._watch.of_thread()
            record.enter(self._stage)
            try:
                waited_for = advance()
            except StopIteration as done:
                return done.value
            finally:
                record.leave()
            try:
                yield waited_for
                advance = steps.__next__
            except BaseException as thrown:  # noqa: BLE001 - a cancellation too is the coroutine's to see
                advance = partial(steps.throw, thrown)


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a stopwatch adds to a call, in nanoseconds: to its own stage, and to whatever is around it."""

    own_ns: float
    around_ns: float

    @classmethod
    def measured(cls) -> "Overhead":
        """Time calls of a function that does nothing."""
        watch = Stopwatch()
        nothing = watch.around("inner", lambda: None)

        def calls() -> None:
            for _ in range(_CALIBRATION):
                nothing()

        watch.around("outer", calls)()
        spent = watch.of_thread().spent_ns
        return cls(spent["inner"] / _CALIBRATION, spent["outer"] / _CALIBRATION)

    def less(self, record: _OfThread, used_ns: int, rest: str) -> Counter[str]:
        """Return a thread's nanoseconds by stage, without what the stopwatch added; ``rest``: what is of no stage."""
        found: Counter[str] = Counter()
        for stage, spent in record.spent_ns.items():
            added = record.calls[stage] * self.own_ns + record.inner[stage] * self.around_ns
            found[stage] = max(0, round(spent - added))
        outermost = record.calls.total() - record.inner.total()
        found[rest] = max(0, round(used_ns - record.spent_ns.total() - outermost * self.around_ns))
        return found


def install(watch: Stopwatch) -> None:
    """Put the stopwatch around every function of ``STAGES`` that there is."""
    for stage, names in STAGES.items():
        for name in names:
            module, _, path = name.partition(":")
            *owners, last = path.split(".")
            try:
                owner: Any = importlib.import_module(module)
                for part in owners:
                    owner = getattr(owner, part)
                function = getattr(owner, last)
            except (ImportError, AttributeError):
                continue
            setattr(owner, last, watch.around(stage, function))


def main(file: Path) -> None:
    """Serve until SIGTERM."""
    watch, overhead, before = Stopwatch(), Overhead.measured(), Counter[int]()
    install(watch)

    def write(*_: object) -> None:
        used = Counter({int(task.name): _cpu_ns(task) for task in Path("/proc/self/task").iterdir()})
        since = used - before
        found: Counter[str] = Counter()
        for record in watch.records():
            rest = LOOP if record.thread == os.getpid() else OTHER
            found += overhead.less(record, since.pop(record.thread, 0), rest)
            record.reset()
        found[OTHER] += since.total()
        before.clear()
        before.update(used)
        file.with_suffix(".new").write_text(json.dumps(found), "utf-8")
        file.with_suffix(".new").replace(file)

    signal.signal(signal.SIGUSR1, write)
    importlib.import_module("app.cli").app(["serve"])


def _cpu_ns(task: Path) -> int:
    return int((task / "schedstat").read_text("ascii").split()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
