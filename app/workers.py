"""The server processes: one, or several that share a listening socket and a folder of metrics."""

import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from app import logs
from app.api import gate, wire
from app.errors import SettingsError, StartupError
from app.main import create_app
from app.metrics import share
from app.service import Service
from app.settings import Settings

log = structlog.get_logger("sluice")

_BACKLOG = 2048
_OTHER_DESCRIPTORS = 256
"""Files, pipes and the event loop's own."""
_KEEP_ALIVE_S = 75
"""Longer than the usual minute of a load balancer, which must be the one to close an idle connection."""
_POLL_S = 0.2
_RESTART_WAIT_S = 1.0
"""A worker that dies at once is not restarted in a tight loop."""
_KILL_MARGIN_S = 5.0
_START_FAILED = 2
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, drain, and return; ``StartupError`` where serving cannot begin."""
    logs.configure(settings.log_format, settings.log_level)
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    log.info("listening", host=host, port=port, workers=settings.workers)
    if settings.workers == 1:
        _run(settings, listener)
    else:
        _supervise(settings, listener)


class _Server(uvicorn.Server):
    """Uvicorn that tells the service of the signal at once, and exits 0 after a clean drain."""

    def __init__(self, config: uvicorn.Config, service: Service, on_hangup: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._on_hangup = on_hangup

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.drain()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, and do not raise them again afterwards as uvicorn does: a drained process ended well."""
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self._on_hangup())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _run(settings: Settings, listener: socket.socket) -> None:
    _allow_descriptors(settings)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=gate.protocol(wire.protocol(app.state.express), _gate_bounds(settings), app.state.ledger),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # the guard writes one line a request
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s,
    )
    _Server(config, app.state.service, app.state.access.hurry).run(sockets=[listener])


def _allow_descriptors(settings: Settings) -> None:
    """Raise the soft limit of open files to what the connections may need, and say so where the hard one is lower."""
    needed = settings.max_connections + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("few_descriptors", allowed=allowed, needed=needed, setting="SLUICE_MAX_CONNECTIONS")


def _gate_bounds(settings: Settings) -> gate.GateBounds:
    return gate.GateBounds(
        max_connections=settings.max_connections,
        max_header_bytes=settings.max_header_bytes,
        max_headers=settings.max_headers,
        head_timeout_s=settings.head_timeout_ms / 1000,
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as broken:
        raise SettingsError(
            f"SLUICE_HOST is {settings.host!r} and SLUICE_PORT is {settings.port}; expected an address that is free "
            f"to listen on ({broken.strerror})"
        ) from broken


def _work(settings: Settings, listener: socket.socket, slot: int) -> None:
    """Be one worker process."""
    logs.configure(settings.log_format, settings.log_level)
    structlog.contextvars.bind_contextvars(worker=slot)
    if settings.metrics_dir is None:
        raise RuntimeError("This is a bug: workers without a metrics folder")
    share(settings.metrics_dir, slot)
    threading.Thread(target=_follow_parent, name="follow-parent", daemon=True).start()
    try:
        _run(settings, listener)
    except StartupError as error:
        log.critical("start_failed", reason=str(error))
        sys.exit(_START_FAILED)


def _follow_parent() -> None:
    """Drain when the supervisor is gone: nobody else would ever stop this process."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        log.error("supervisor_died")
        signal.raise_signal(signal.SIGTERM)


def _supervise(settings: Settings, listener: socket.socket) -> None:
    """Keep ``settings.workers`` processes running until a signal; then let each drain."""
    create_app(settings.model_copy(update={"workers": 1}))  # what is wrong is said once, before any process starts
    with _metrics_folder(settings) as folder:
        shared = settings.model_copy(update={"metrics_dir": folder})
        stopping = _Stop()
        workers = {slot: _start(shared, listener, slot) for slot in range(settings.workers)}
        signal.signal(signal.SIGHUP, lambda *_: _pass_on(signal.SIGHUP, list(workers.values())))
        while not stopping.asked:
            time.sleep(_POLL_S)
            for slot, worker in workers.items():
                if not worker.is_alive() and not stopping.asked:
                    log.error("worker_died", slot=slot, exit_code=worker.exitcode)
                    time.sleep(_RESTART_WAIT_S)
                    workers[slot] = _start(shared, listener, slot)
        listener.close()
        _stop(list(workers.values()), settings.drain_s + _KILL_MARGIN_S)


class _Stop:
    """Set by SIGTERM or SIGINT."""

    def __init__(self) -> None:
        self.asked = False
        for number in _SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, _: int, __: FrameType | None) -> None:
        self.asked = True


def _start(settings: Settings, listener: socket.socket, slot: int) -> BaseProcess:
    # spawn, because a fork would copy the supervisor's threads' locks
    process = multiprocessing.get_context("spawn").Process(
        target=_work, args=(settings, listener, slot), name=f"sluice-{slot}"
    )
    process.start()
    return process


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
