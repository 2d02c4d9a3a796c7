"""Which models are open, as the metrics tell it: a version's series stand from its opening until its last user is done.

A model goes when nobody holds it, and takes its sessions with it. Who holds it is the snapshot, and every request and
batch that found it there; counting them is what Python does anyway.
"""

import asyncio
import weakref
from collections.abc import Collection

import structlog

from app.codes import item_codes
from app.measures.versions import STATES
from app.metrics import NO_MODEL, Metrics
from app.modelpack.manifest import CLASSIFYING, TASKS, Task
from app.runtime.memory import trim
from app.runtime.model import Model
from app.runtime.snapshot import Snapshot
from app.runtime.traffic import Alias, Traffic

log = structlog.get_logger("sluice")

_TRIM_AFTER_S = 0.2
"""By then the sessions of a change are all gone, and one call gives their memory back."""


class Presence:
    """Declares the series of models as they come, and takes them away as they go."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loop: asyncio.AbstractEventLoop | None = None
        self._trimming = False
        for task in TASKS:
            metrics.declare_items(NO_MODEL, NO_MODEL, task, _codes(task))

    def follow(self, before: Snapshot, now: Snapshot) -> None:
        """Tell of a snapshot that has taken another's place; call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        known = set(map(id, before.ready))
        for model in now.ready:
            if id(model) not in known:
                self._came(model)
        said = {(entry.name, entry.version, entry.reason) for entry in before.refused}
        for entry in now.refused:
            if entry.state == "failed" and (entry.name, entry.version, entry.reason) not in said:
                log.error("model_failed", model=entry.name, version=str(entry.version), reason=entry.reason)
        for (name, version), reason in now.troubles.items():
            if before.troubles.get((name, version)) != reason:
                log.error("model_kept", model=name, version=str(version), reason=reason)
        states = ["ready"] * len(now.ready) + [entry.state for entry in now.refused]
        for state in STATES:
            self._metrics.models.labels(state).set(states.count(state))
        for name in before.traffic.keys() | now.traffic.keys():
            self._share(before, name, of_now=False)
            self._share(now, name, of_now=True)
        self._follow_shadows(before, now)

    def _follow_shadows(self, before: Snapshot, now: Snapshot) -> None:
        for name, (_, shadow) in before.candidates.items():
            self._metrics.shadow_share.labels(name, str(shadow.version)).set(0)
        for name, (_, shadow) in now.candidates.items():
            self._metrics.of_shadow(name, str(shadow.version))
            self._metrics.shadow_share.labels(name, str(shadow.version)).set(shadow.share)

    def _came(self, model: Model) -> None:
        name, version, task = model.name, model.version, model.manifest.task
        self._metrics.hold(name, version)
        if task == "summarize":
            self._metrics.of_writer(name, version)
        self._metrics.declare_items(name, version, task, ["ok", *_codes(task)])
        self._metrics.model_info.labels(name, version, task, model.precision, model.provider.device).set(1)
        # lanes hold the session and not the model: a batch whose callers have all left still counts under it
        weakref.finalize(model.sessions[0], self._went, name, version).atexit = False
        log.info("model_ready", model=name, version=version, precision=model.precision)

    def _went(self, name: str, version: str) -> None:
        """Hear of it in whichever thread was the last to be done, and go on on the event loop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._gone, name, version)

    def _gone(self, name: str, version: str) -> None:
        if self._metrics.release(name, version):
            log.info("model_gone", model=name, version=version)
        if not self._trimming and self._loop is not None:
            self._trimming = True
            self._loop.call_later(_TRIM_AFTER_S, self._trim)

    def _trim(self) -> None:
        self._trimming = False
        if self._loop is not None:
            self._loop.run_in_executor(None, trim)

    def _share(self, snapshot: Snapshot, name: str, *, of_now: bool) -> None:
        """Set what each alias of a package gets of the requests that name no version; of what was, nothing."""
        aliases = snapshot.traffic.get(name, Traffic()).aliases
        opened = [model for model in snapshot.ready if model.name == name]
        for alias, its in aliases.items():
            version = str(its.version) if its.version is not None else opened[-1].version if opened else NO_MODEL
            if version in {model.version for model in opened}:
                share = _part(its, aliases.values()) if of_now else 0.0
                self._metrics.alias_share.labels(name, version, alias).set(share)


def _part(alias: Alias, others: Collection[Alias]) -> float:
    whole = sum(other.weight for other in others)
    return alias.weight / whole if whole else 0.0


def _codes(task: Task) -> list[str]:
    if task == "tensor":
        return []  # a tensor has no items that fail by themselves
    return item_codes(of_summaries=task not in CLASSIFYING)
