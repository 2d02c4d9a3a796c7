"""The composition root: every part is made here, once, and handed to those who need it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial

import structlog
from fastapi import FastAPI

from app import __version__
from app.api import admin, bulk, catalogue, health, openapi, predict, refusal, summarize
from app.api.access import Access, access_of, require_scopes
from app.api.express import Express
from app.api.guard import Guard
from app.api.inlet import Bounds
from app.api.ledger import OTHER_ROUTE, Ledger
from app.api.oip import routes as oip
from app.api.oip.answering import Answering
from app.api.oip.grpc import calls as grpc_calls
from app.api.oip.repository import Repository
from app.arrays import Arrays
from app.base import Base, base_of, learn
from app.cache import Batching, Cache
from app.control import Control
from app.errors import StartupError
from app.metrics import Metrics
from app.modelpack.manifest import CLASSIFYING
from app.modelpack.watch import Watch
from app.runtime.memory import trim
from app.runtime.providers import Provider
from app.runtime.registry import Registry
from app.runtime.threads import usable_cores
from app.scheduling.admission import Patience
from app.scheduling.batcher import Batcher
from app.scheduling.decoder import Decoder
from app.scheduling.inline import Inline
from app.scheduling.observer import BatchObserver, CacheObserver, DecodeObserver, HangObserver
from app.scheduling.policy import Budget
from app.scheduling.slots import Room
from app.scheduling.watchdog import Watchdog
from app.service import Service
from app.settings import Settings, load_settings
from app.shadow import Shadows, Unseen
from app.siblings import Siblings
from app.standstill import end_process
from app.summarizing.journey import Summaries

log = structlog.get_logger("sluice")

_TIDY_EVERY_S = 60.0
"""Some 10 ms of CPU, and the pages that the next large batch asks for again."""

_ROUTE_CODES = {
    **{predict.path_of(task): (200, *predict.STATUSES) for task in CLASSIFYING},
    **dict.fromkeys(sorted(bulk.PATHS), (200, *bulk.STATUSES)),
    summarize.PATH: (200, *predict.STATUSES),
    "/v1/models": (200,),
    "/v1/models/{name}": (200, 404),
    **dict.fromkeys(admin.PATHS, (200, *admin.STATUSES)),
    "/health/live": (200,),
    "/health/ready": (200, 503),
    "/metrics": (200,),
    **oip.STATUSES_BY_PATH,
    OTHER_ROUTE: (400, 404, 405, 408, 431, 503),
}


def create_app(settings: Settings | None = None, siblings: Siblings | None = None, base: Base | None = None) -> FastAPI:
    """Return the application over ``settings`` (default: the environment's); nothing runs before its lifespan does.

    ``siblings``: what one of several processes has in common with the others. ``base``: what opens packages, if it was
    made beforehand, of the same settings.
    Raises ``StartupError`` where the process must not start: a bad setting, a missing provider or folder.
    """
    settings = settings or load_settings()
    access = access_of(settings, siblings.limits if siblings else None)
    parts = Parts(settings, siblings, base)
    app = FastAPI(
        title="Sluice",
        version=__version__,
        summary="LSTM and GRU text models on ONNX Runtime",
        lifespan=parts.lifespan,
        # asked for anew in each request, and a twentieth of its cost; the metrics here are prometheus_client's
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = parts.service
    app.state.access = access
    app.state.control = parts.control
    refusal.install(app)
    served = [
        predict.routes(parts.service),
        summarize.routes(parts.service, parts.summaries),
        bulk.routes(parts.service, settings),
        catalogue.routes(parts.registry),
        admin.routes(parts.control),
        health.routes(parts.service),
        oip.routes(parts.answering, parts.repository),
    ]
    for routes in served:
        require_scopes(routes.paths)
        app.router.routes += routes.answering()
    ledger = Ledger(parts.metrics, routes=frozenset([*_ROUTE_CODES, *grpc_calls.ROUTES]) - {OTHER_ROUTE})
    app.add_middleware(Guard, access=access, ledger=ledger, bounds=_bounds(settings), unbounded=bulk.PATHS)
    app.state.ledger = ledger
    if settings.grpc_port is not None:
        parts.serve_beside(_grpc(settings, parts, access, ledger))
        for call in grpc_calls.ROUTES:
            parts.metrics.declare_route(call, map(str, (200, *sorted({*predict.STATUSES, *openapi.KEYED}))))
    app.state.express = Express(parts.service, access, ledger, settings.max_body_bytes)
    for route, statuses in _ROUTE_CODES.items():
        parts.metrics.declare_route(route, map(str, sorted({*statuses, *openapi.guard_statuses(route)})))
    openapi.install(app, served)
    return app


class Parts:
    """Everything below HTTP, wired; ``running`` opens the models and stops the threads again."""

    def __init__(self, settings: Settings, siblings: Siblings | None = None, base: Base | None = None) -> None:
        """Wire them; ``base``: of these settings, where one was made before this module was imported."""
        self._settings = settings
        self._has_siblings = siblings is not None
        self._beside: Callable[[], AbstractAsyncContextManager[None]] | None = None
        self.metrics = Metrics(__version__, settings.metrics_dir if self._has_siblings else None)
        provider, self.registry, costs = base or base_of(settings)
        log.info("provider", device=provider.device, note=provider.note)
        threads = settings.threads or max(1, usable_cores() // max(1, settings.workers))
        alarm = HangObserver(self.metrics, self._set_failing)
        self._watchdog = Watchdog(settings.watchdog_ms / 1000, alarm)
        self._batcher = Batcher(
            threads=threads,
            budget=_budget(settings, provider),
            max_queue_tokens=settings.max_queue_tokens,
            observer=BatchObserver(self.metrics),
            watchdog=self._watchdog,
            patience=Patience(settings.max_wait_ms / 1000, settings.overload_wait_ms / 1000),
            inline=_inline(settings, provider),
            places=None if siblings is None or settings.threads else siblings.places,
        )
        self._decoder = Decoder(
            threads=threads,
            room=Room(settings.max_slots, settings.max_slot_cells),
            max_queue_tokens=settings.max_summary_queue_tokens,
            observer=DecodeObserver(self.metrics),
            watchdog=self._watchdog,
            costs=costs,
        )
        self.metrics.slots.set(settings.max_slots)
        self._shadows = _shadows(settings, provider, self.registry, self.metrics, self._batcher)
        batching = self._batching(settings.cache_bytes)
        self.service = Service(self.registry, settings, self.metrics, batching, self._shadows)
        link = siblings.link if siblings is not None else None
        self.control = Control(self.registry, self.metrics, partial(learn, costs), self.service.tell_ready, link)
        self.repository = Repository(self.control)
        self.summaries = Summaries(self.registry, settings, self.metrics, self._batcher, self._decoder)
        arrays = Arrays(settings, self.metrics, self._batcher, self._decoder)
        self.answering = Answering(self.registry, self.service, self.summaries, arrays)

    def _batching(self, cache_bytes: int) -> Batching:
        """Return what predictions are submitted to: the batcher, behind a cache where one is asked for."""
        return Cache(self._batcher, cache_bytes, CacheObserver(self.metrics)) if cache_bytes else self._batcher

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Open and warm up, then serve, then drain.

        A process alone opens beside its running server, which answers probes meanwhile. One of several accepts nothing
        until it is ready: it shares its socket with others that are, and would answer 503 in their place.
        """
        self._start()
        self._shadows.start()
        opening = asyncio.create_task(self.open())
        if self._has_siblings:
            await opening
        meanwhile = [asyncio.create_task(self._watch()), asyncio.create_task(self._tidy())]
        try:
            async with self._beside() if self._beside is not None else nullcontext():
                yield
        finally:
            self.service.drain()
            for task in meanwhile:
                task.cancel()
            await opening
            await self._close()

    def serve_beside(self, server: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Run another server around the application's life; what it does at its end comes before the threads stop."""
        self._beside = server

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """Yield the service once its models are open, without a server around it."""
        self._start()
        await self.open()
        try:
            yield self.service
        finally:
            self.service.drain()
            await self._close()

    def _start(self) -> None:
        self._watchdog.start()
        self._batcher.start()
        self._decoder.start()

    def _set_failing(self, failing: bool) -> None:  # noqa: FBT001 - a setter
        self.service.set_failing(failing)

    async def _watch(self) -> None:
        """Keep what is open in line with the models folder, where asked to; of several, the supervisor does."""
        if self._settings.watch_models and not self._has_siblings:
            watch = Watch(self._settings.models_dir)
            while True:
                await asyncio.sleep(watch.every_s)
                if await asyncio.to_thread(watch.changed):
                    await self.control.reload()

    async def _tidy(self) -> None:
        """Give back now and then what the largest of many requests took at once and no other needs."""
        while True:
            await asyncio.sleep(_TIDY_EVERY_S)
            await asyncio.to_thread(trim)

    async def _close(self) -> None:
        await self._shadows.close()
        self.metrics.registry.settle()  # other processes may still tell of it
        await asyncio.to_thread(self._decoder.close)
        await asyncio.to_thread(self._batcher.close)
        self._watchdog.close()

    async def open(self) -> None:
        """Open every package and say what came of it."""
        try:
            await self.control.open()
        except Exception:
            log.exception("models_unopened")  # the process stays up and not ready, which an operator sees
            return
        gc.collect()  # or what is garbage now would never be found, and hold models that are long closed
        gc.freeze()  # what is open now mostly stays: no collection need walk it again
        if self.service.phase == "starting":
            self.service.phase = "ready"
            self.service.tell_ready()
            log.info("ready" if self.registry.ready else "no_model", models=len(self.registry.ready))


def _bounds(settings: Settings) -> Bounds:
    return Bounds(settings.max_body_bytes, settings.body_timeout_ms / 1000, settings.body_gap_ms / 1000)


def _grpc(
    settings: Settings, parts: Parts, access: Access, ledger: Ledger
) -> Callable[[], AbstractAsyncContextManager[None]]:
    """Return how the gRPC server runs; ``StartupError`` where its library is not there."""
    try:
        # an extra, loaded where it is asked for
        from app.api.oip.grpc.server import GrpcServer  # noqa: PLC0415
        from app.api.oip.grpc.servicer import Servicer  # noqa: PLC0415
    except ImportError as missing:
        raise StartupError(
            f"SLUICE_GRPC_PORT is {settings.grpc_port} and {missing.name!r} is not installed; "
            "expected pip install 'sluice[grpc]'"
        ) from missing
    servicer = Servicer(parts.answering, parts.repository)
    server = GrpcServer(servicer, access, ledger, max_message_bytes=settings.max_body_bytes)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        await server.start(settings.host, settings.grpc_port or 0, shared=settings.workers > 1)
        try:
            yield
        finally:
            parts.service.drain()
            await server.stop(settings.drain_s)

    return running


def _shadows(settings: Settings, provider: Provider, registry: Registry, metrics: Metrics, callers: Batcher) -> Shadows:
    """Return what tries candidates, which has a thread and a watchdog of its own: a candidate may hang.

    Such a hang is counted with the others and does not make the service unready.
    """
    watchdog = Watchdog(settings.watchdog_ms / 1000, HangObserver(metrics, lambda _: None))
    batcher = Batcher(
        threads=1,
        budget=_budget(settings, provider),
        max_queue_tokens=settings.max_queue_tokens,
        observer=Unseen(),
        watchdog=watchdog,
    )
    timeout_s = settings.timeout_ms / 1000
    return Shadows(registry, metrics, callers=callers, batcher=batcher, watchdog=watchdog, timeout_s=timeout_s)


def _budget(settings: Settings, provider: Provider) -> Budget:
    cells, rows = settings.max_batch_cells, settings.max_batch_rows
    if provider.device == "cuda":
        cells, rows = settings.cuda_max_batch_cells, settings.cuda_max_batch_rows
    return Budget(cells, rows, settings.max_padding_share)


def _inline(settings: Settings, provider: Provider) -> Inline:
    """Return what may run on the event loop's thread: nothing that waits for a device, or that nobody watches."""
    if provider.device != "cpu" or not settings.watchdog_ms:
        return Inline()
    return Inline(settings.inline_us / 1e6, end_process)
