"""The server processes: one, or a supervisor and several, which get connections evenly and share their metrics.

Workers are forked, so that what was imported and what was opened on the CPU is in memory once, and a worker that died
is back without importing or opening it again. The supervisor has no threads then, whose locks a fork would copy, and
opens no device.
"""

import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from app import logs
from app.base import Base, traffic_of
from app.conductor import Conductor
from app.control import Failed, Link
from app.errors import SettingsError, StartupError
from app.handover import Dispatch, Door, Lane
from app.keys.shared import Sheet
from app.modelpack.watch import Watch
from app.runtime.changes import Reload
from app.runtime.memory import trim
from app.runtime.providers import may_use_cuda
from app.runtime.threads import usable_cores
from app.scheduling.places import Board
from app.server import SIGNALS, run
from app.settings import Settings
from app.sharing import count_restarts, share
from app.siblings import Siblings

log = structlog.get_logger("sluice")

_BACKLOG = 2048
_POLL_S, _STUCK_POLL_S = 0.2, 0.02
_RESTART_WAIT_S = 1.0
"""A worker that dies at once is not restarted in a tight loop."""
_KILL_MARGIN_S = 5.0
_START_FAILED = 2
_MOST_BY_DEFAULT = 4
"""Each process has queues and work space of its own, so more of them are for an operator to ask for."""
_FOLLOW_S = 0.2


def serve(settings: Settings, base: Base | None = None) -> None:
    """Serve until SIGTERM or SIGINT, drain, and return; ``StartupError`` where serving cannot begin.

    ``base``: what opens packages, made of the same settings before this module was imported.
    """
    logs.configure(settings.log_format, settings.log_level)
    settings = settings.model_copy(update={"workers": settings.workers or workers_by_default(settings)})
    if settings.workers > 1 and base is not None:
        base.registry.join_early()  # nobody would answer meanwhile; and a fork would copy a lock that a thread holds
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    log.info("listening", host=host, port=port, workers=settings.workers)
    try:
        if settings.workers == 1:
            run(settings, listener, base=base)
        else:
            with _metrics_folder(settings) as folder:
                _Supervisor(settings.model_copy(update={"metrics_dir": folder}), listener, base).run()
    finally:
        logs.let_go()


def workers_by_default(settings: Settings) -> int:
    """Return how many processes serve where nobody says: one a core, since an event loop needs as much as its model.

    One where a device does the work, and where a process cannot safely be forked.
    """
    if sys.platform != "linux" or (settings.provider != "cpu" and may_use_cuda()):
        return 1
    return min(usable_cores(), _MOST_BY_DEFAULT)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as broken:
        raise SettingsError(
            f"SLUICE_HOST is {settings.host!r} and SLUICE_PORT is {settings.port}; expected an address that is free "
            f"to listen on ({broken.strerror})"
        ) from broken


def _work(settings: Settings, door: Door, slot: int, siblings: Siblings, parent: int, *, base: Base | None) -> None:
    """Be one worker process, of the supervisor with the process id ``parent``."""
    logs.configure(settings.log_format, settings.log_level)
    structlog.contextvars.bind_contextvars(worker=slot)
    if settings.metrics_dir is None:
        raise RuntimeError("This is a bug: workers without a metrics folder")
    share(settings.metrics_dir, slot)
    threading.Thread(target=_follow, args=(parent,), name="follow-parent", daemon=True).start()
    try:
        run(settings, door, siblings, base)
        logs.let_go()
    except StartupError as error:
        siblings.link.pipe.send(Failed(str(error)))
        sys.exit(_START_FAILED)


def _follow(parent: int) -> None:
    """Drain when the supervisor is gone: nobody else would ever stop this process."""
    while os.getppid() == parent:
        time.sleep(_FOLLOW_S)
    log.error("supervisor_died")
    signal.raise_signal(signal.SIGTERM)


class _Supervisor:
    """Accepts connections, gives them to its workers evenly, and keeps as many workers as there should be."""

    def __init__(self, settings: Settings, listener: socket.socket, base: Base | None) -> None:
        self._settings = settings
        self._base = base
        self._listener = listener
        self._lanes: dict[int, Lane] = {}
        self._workers: dict[int, BaseProcess] = {}
        self._due: dict[int, float] = dict.fromkeys(range(settings.workers), 0.0)
        """When each worker that is missing may start."""
        self._dispatch = Dispatch(listener, lambda: list(self._lanes.values()))
        self._restarts = count_restarts(settings.metrics_dir)
        self._stopping = _Stop()
        self._conductor = Conductor(
            settings.models_dir, lambda: self._stopping.asked, self._tend, traffic=traffic_of(settings)
        )
        self._watch = Watch(settings.models_dir)
        self._board = Board(settings.workers, usable_cores())
        self._limits = Sheet()
        self._pid = os.getpid()

    def run(self) -> None:
        """Serve until a signal; then let each worker drain. ``StartupError`` where the first of them cannot start."""
        signal.signal(signal.SIGHUP, self._on_hangup)
        trim()
        gc.collect()
        gc.freeze()  # no collection walks what is here now, and so no worker gets a copy of it for that
        try:
            while not self._stopping.asked:
                self._start_missing()
                self._conductor.turn(_POLL_S)
                if self._settings.watch_models and self._watch.due() and self._watch.changed():
                    self._conductor.ask(Reload())
                self._bury_the_dead()
        finally:
            self._dispatch.close()
            _stop(list(self._workers.values()), self._settings.drain_s + _KILL_MARGIN_S)

    def _on_hangup(self, _: int, __: FrameType | None) -> None:
        _pass_on(signal.SIGHUP, list(self._workers.values()))  # for their keys
        self._conductor.ask(Reload())

    def _tend(self, pipes: list[Connection], wait_s: float) -> None:
        """Wait for something to do, in ``pipes`` too, and see to the connections, also while a change is made."""
        wanted: list[Any] = [*pipes, *self._lanes.values(), *(worker.sentinel for worker in self._workers.values())]
        if any(lane.ready for lane in self._lanes.values()) and not self._dispatch.stuck:
            wanted.append(self._listener)
        wait(wanted, min(wait_s, _STUCK_POLL_S) if self._dispatch.stuck else wait_s)
        for slot, lane in self._lanes.items():
            if lane.hear():
                log.info("worker_ready", slot=slot)
        self._dispatch.accept()

    def _start_missing(self) -> None:
        for slot, due in list(self._due.items()):
            if time.monotonic() >= due:
                del self._due[slot]
                self._start(slot)

    def _start(self, slot: int) -> None:
        lane = self._lanes[slot] = Lane()
        link = self._conductor.link(slot)
        worker = multiprocessing.get_context("fork").Process(
            target=self._become, args=(slot, lane, link), name=f"sluice-{slot}"
        )
        with _held_back([*SIGNALS, signal.SIGHUP]):
            worker.start()
        self._conductor.started(slot)
        self._workers[slot] = worker

    def _become(self, slot: int, lane: Lane, link: Link) -> None:
        """Be a worker: let go of all that is the supervisor's, or nobody would see that its ends are closed."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server listens to it: what it is about is read anew
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [*SIGNALS, signal.SIGHUP])
        self._dispatch.let_go()
        self._conductor.let_go()
        for other in self._lanes.values():
            other.let_go(whole=other is not lane)
        siblings = Siblings(link, self._board.places(slot), self._limits)
        _work(self._settings, lane.door(), slot, siblings, self._pid, base=self._base)

    def _bury_the_dead(self) -> None:
        """Give the connections that a dead worker never took to others, and let another take its place soon."""
        for slot, worker in list(self._workers.items()):
            if worker.is_alive():
                continue
            left = self._lanes.pop(slot).close()
            del self._workers[slot]
            self._board.tell(slot, 0)
            log.error("worker_died", slot=slot, exit_code=worker.exitcode, passed_on=len(left))
            self._dispatch.hold(left)
            self._restarts.inc()
            self._due[slot] = time.monotonic() + _RESTART_WAIT_S


class _Stop:
    """Set by SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self.asked = False
        for number in SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, _: int, __: FrameType | None) -> None:
        self.asked = True


@contextlib.contextmanager
def _held_back(numbers: list[signal.Signals]) -> Iterator[None]:
    """Let signals wait: one that came between a fork and the worker's own handlers would be the supervisor's twice."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _pass_on(number: signal.Signals, workers: list[BaseProcess]) -> None:
    for worker in workers:
        if worker.pid is not None and worker.is_alive():
            os.kill(worker.pid, number)


def _stop(workers: list[BaseProcess], within_s: float) -> None:
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + within_s
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))
        if worker.is_alive():
            log.error("worker_killed", pid=worker.pid)
            worker.kill()
            worker.join()


@contextlib.contextmanager
def _metrics_folder(settings: Settings) -> Iterator[Path]:
    """Yield an empty folder: what an earlier run of the service left there would be counted again."""
    if settings.metrics_dir is None:
        with tempfile.TemporaryDirectory(prefix="sluice-metrics-") as temporary:
            yield Path(temporary)
        return
    folder = settings.metrics_dir
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (*folder.glob("*.db"), *folder.glob("*.pid")):
        stale.unlink()
    yield folder
