"""One server process: Uvicorn over a listener or a door, and how it comes to an end."""

import asyncio
import contextlib
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api import gate, wire
from app.base import Base
from app.handover import Door, turn_away
from app.main import create_app
from app.service import Service
from app.settings import Settings
from app.siblings import Siblings
from app.standstill import end_process

log = structlog.get_logger("sluice")

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_KEEP_ALIVE_S = 75
"""Longer than the usual minute of a load balancer, which must be the one to close an idle connection."""
_OTHER_DESCRIPTORS = 256
"""Files, pipes and the event loop's own."""
_LAST_WORD_S = 1.0
"""How long a draining process listens to open connections: what was sent before the client heard of the drain comes.

No longer than the drain may take in all.
"""
_LAST_TAKE_S = 0.05
"""How long handshakes under way have, once no new one may begin."""
_STUCK_LIMITS = 3
"""An event loop that does not turn for so many of the watchdog's limits will not turn again."""
_PULSE_S = 0.1


def run(
    settings: Settings, source: socket.socket | Door, siblings: Siblings | None = None, base: Base | None = None
) -> None:
    """Serve what comes from a listener, or out of a door, until a signal; then drain.

    ``siblings``: of a worker, whose supervisor has all reload at once. ``base``: what opens packages, made beforehand.
    """
    _allow_descriptors(settings)
    app = create_app(settings, siblings, base)

    def on_hangup() -> None:
        app.state.access.hurry()
        if siblings is None:
            app.state.control.reload_soon()

    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=_protocol(app, settings, source),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # the guard writes one line a request
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s,
    )
    heart = _Heart(_STUCK_LIMITS * settings.watchdog_ms / 1000)
    _Server(config, app.state.service, on_hangup, source, heart).run(
        sockets=[] if isinstance(source, Door) else [source]
    )


class _Told(HttpToolsProtocol):
    """Tells of its end whoever counts connections."""

    _on_end: Callable[[], None]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_end()


def _protocol(app: FastAPI, settings: Settings, source: socket.socket | Door) -> type[HttpToolsProtocol]:
    """Return the protocol class to give to Uvicorn."""
    bounds = gate.GateBounds(
        max_connections=settings.max_connections,
        max_header_bytes=settings.max_header_bytes,
        max_headers=settings.max_headers,
        head_timeout_s=settings.head_timeout_ms / 1000,
    )
    gated = gate.protocol(wire.protocol(app.state.express), bounds, app.state.ledger)
    if not isinstance(source, Door):
        return gated
    return type("Told", (_Told, gated), {"_on_end": staticmethod(source.say_ended)})


def _allow_descriptors(settings: Settings) -> None:
    """Raise the soft limit of open files to what the connections may need, and say so where the hard one is lower."""
    needed = settings.max_connections + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("few_descriptors", allowed=allowed, needed=needed, setting="SLUICE_MAX_CONNECTIONS")


class _Server(uvicorn.Server):
    """Uvicorn that leaves in good order: what was sent before the client can know of the drain is answered."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        on_hangup: Callable[[], None],
        source: socket.socket | Door,
        heart: "_Heart",
    ) -> None:
        super().__init__(config)
        self._service = service
        self._on_hangup = on_hangup
        self._source = source
        self._heart = heart
        self._adopting: set[asyncio.Task[Any]] = set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.leave()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, and do not raise them again afterwards as uvicorn does: a drained process ended well."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self._on_hangup())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._heart.start()
        self._pulse()
        if isinstance(self._source, Door):
            asyncio.get_running_loop().add_reader(self._source, self._take)
            self._source.say_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._take_the_last()
        for server in self.servers:
            server.close()
        state, loop = self.server_state, asyncio.get_running_loop()
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        until = loop.time() + min(_LAST_WORD_S, self.config.timeout_graceful_shutdown or 0)
        while loop.time() < until and (state.connections or self._adopting):  # noqa: ASYNC110 - uvicorn's own state
            await asyncio.sleep(_LAST_WORD_S / 25)
        self._service.drain()
        await super().shutdown(sockets)

    async def _take_the_last(self) -> None:
        """Take whoever has connected, and let nobody else begin to."""
        if not isinstance(self._source, Door):
            turn_away(self._source)
            await asyncio.sleep(_LAST_TAKE_S)  # handshakes under way come to their end, and the loop accepts them
        self._take()

    def _take(self) -> None:
        """Take the connections that wait in the door, or in the listener's queue."""
        if isinstance(self._source, Door):
            waiting = list(self._source.take())
        else:
            waiting = []
            with contextlib.suppress(OSError):  # none are left, or as many are open as may be
                while True:
                    waiting.append(self._source.accept()[0])
        for connection in waiting:
            task = asyncio.get_running_loop().create_task(self._adopt(connection))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)

    async def _adopt(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # the client went away meanwhile
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(self.config, self.server_state, self.lifespan.state)
        return made

    def _pulse(self) -> None:
        self._heart.beat()
        asyncio.get_running_loop().call_later(_PULSE_S, self._pulse)


class _Heart:
    """Ends a process whose event loop no longer turns."""

    def __init__(self, limit_s: float) -> None:
        """``limit_s``: 0 lets it stand still for ever."""
        self._limit_s = limit_s
        self._beat = threading.Event()

    def beat(self) -> None:
        """Say that the loop turns."""
        self._beat.set()

    def start(self) -> None:
        """Listen to the beats of the thread that calls this."""
        if self._limit_s:
            owner = threading.get_ident()
            threading.Thread(target=self._listen, args=(owner,), name="heart", daemon=True).start()

    def _listen(self, owner: int) -> None:
        silent_s, tick_s = 0.0, max(2 * _PULSE_S, self._limit_s / 10)
        while silent_s < self._limit_s:
            time.sleep(tick_s)  # a process that stands still as a whole ticks no more than it beats
            silent_s = 0.0 if self._beat.is_set() else silent_s + tick_s
            self._beat.clear()
        end_process(owner, silent_s)
