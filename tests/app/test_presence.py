"""A version's series stand from its opening until its last user is done with it."""

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.metrics import Metrics
from app.presence import Presence
from app.runtime.changes import Reload, SetAliases, Unload
from app.runtime.snapshot import Snapshot
from app.runtime.traffic import Alias
from tests.app.runtime.test_registry import registry
from tests.packages import copy_tiny


class Seen:
    """A registry, and what the metrics tell of it."""

    def __init__(self, root: Path) -> None:
        self.metrics = Metrics("test")
        self.presence = Presence(self.metrics)
        self.registry = registry(root)
        self.presence.follow(Snapshot(), self.registry.now)

    def make(self, change: Reload | SetAliases | Unload) -> None:
        before, prepared = self.registry.now, self.registry.prepare(change)
        self.registry.commit(prepared)
        self.presence.follow(before, prepared.snapshot)

    def value(self, name: str, **labels: str) -> float | None:
        found: float | None = self.metrics.registry.get_sample_value(name, labels)
        return found

    def has(self, version: int) -> bool:
        return f'version="{version}"' in self.metrics.exposition().decode()


@pytest.fixture
async def seen(tmp_path: Path) -> Seen:
    for version in (1, 2):
        copy_tiny(tmp_path, version=version)
    (copy_tiny(tmp_path, version=3) / "model.onnx").unlink()
    return Seen(tmp_path)


async def until(fact: Callable[[], bool], within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < end, "it did not come true"
        gc.collect()
        await asyncio.sleep(0.01)


async def test_what_is_open_failed_and_unloaded_is_counted(seen: Seen) -> None:
    assert (seen.value("sluice_models", state="ready"), seen.value("sluice_models", state="failed")) == (2, 1)
    assert seen.has(1)
    assert seen.has(2)
    seen.make(Unload("tiny", 2))
    states = [seen.value("sluice_models", state=state) for state in ("ready", "failed", "unloaded")]
    assert states == [1, 1, 1]


async def test_a_versions_series_go_when_its_last_user_is_done(seen: Seen) -> None:
    held = seen.registry.get("sentiment", "tiny", 2)
    seen.make(Unload("tiny", 2))
    gc.collect()
    await asyncio.sleep(0.05)
    assert seen.has(2), "a request that is under way counts under it"
    del held
    await until(lambda: not seen.has(2))
    assert seen.has(1)


async def test_an_alias_that_moves_takes_its_share_along(seen: Seen) -> None:
    def share(version: int, alias: str) -> float | None:
        return seen.value("sluice_alias_share", model="tiny", version=str(version), alias=alias)

    seen.make(SetAliases("tiny", {"stable": Alias(1, 3.0), "canary": Alias(2, 1.0)}))
    assert (share(1, "stable"), share(2, "canary")) == (0.75, 0.25)
    seen.make(SetAliases("tiny", {"stable": Alias(2, 1.0)}))
    assert (share(2, "stable"), share(1, "stable"), share(2, "canary")) == (1.0, 0.0, 0.0)
