"""Changes in one process: opened behind what serves, made in one step, told to whoever is to know."""

import asyncio
import gc
import os
import threading
from collections import Counter
from functools import reduce
from multiprocessing import Pipe
from operator import and_
from pathlib import Path
from typing import Any

import pytest

from app.control import Answered, Asked, Control, Decide, Done, Link, Opened, Prepare, Vote
from app.errors import ChangeRefused, ModelNotFound
from app.metrics import Metrics
from app.modelpack.store import Package, survey
from app.runtime.changes import Load, Outcome, Plan, Reload, SetAliases
from app.runtime.model import Model
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.registry import Registry
from app.runtime.traffic import Alias
from tests.packages import copy_tiny


class Process:
    """A control over a folder, and what it called."""

    def __init__(self, root: Path, link: Link | None = None) -> None:
        self.niceness: list[int] = []
        self.warmed: list[str] = []
        self.changed = 0
        self.metrics = Metrics("test")
        self.registry = Registry(root, self._open)
        self.control = Control(self.registry, self.metrics, self._warm, self._count, link)

    def _open(self, package: Package) -> Model:
        self.niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return open_model(package, choose("cpu"))

    def _warm(self, model: Model) -> None:
        self.warmed.append(model.version)

    def _count(self) -> None:
        self.changed += 1

    def counted(self, action: str, result: str) -> float:
        return float(
            self.metrics.registry.get_sample_value("sluice_model_changes_total", {"action": action, "result": result})
            or 0
        )


async def test_a_change_is_opened_behind_what_serves_warmed_up_and_made(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    process = Process(tmp_path)
    await process.control.open()
    copy_tiny(tmp_path, version=2)
    report = await process.control.change(Reload())
    assert (report.outcome, report.workers) == (Outcome(loaded=(("tiny", 2),)), 1)
    assert process.warmed == ["1", "2"]
    assert process.changed == 2
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert process.niceness == [own, min(19, own + 10)]
    assert process.counted("reload", "done") == 1


async def test_a_change_that_is_refused_is_counted_and_leaves_what_there_was(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    process = Process(tmp_path)
    await process.control.open()
    before = process.registry.now
    with pytest.raises(ModelNotFound, match="version 9 of 'tiny' is not in the models folder"):
        await process.control.change(Load("tiny", 9))
    assert process.registry.now is before
    assert process.changed == 1
    assert process.counted("load", "refused") == 1


async def test_changes_that_are_asked_for_at_once_are_made_one_after_the_other(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    process = Process(tmp_path)
    await process.control.open()
    copy_tiny(tmp_path, version=2)
    aliases = SetAliases("tiny", {"stable": Alias(2, 1.0)})
    await asyncio.gather(process.control.change(Reload()), process.control.change(aliases))
    assert process.registry.pick("sentiment", "tiny", "stable").model.version == "2"


async def test_what_opening_left_is_given_back_before_what_was_opened_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_tiny(tmp_path)
    process = Process(tmp_path)
    serving_then: list[int] = []
    monkeypatch.setattr("app.control.trim", lambda: serving_then.append(len(process.registry.ready)))
    await process.control.open()
    copy_tiny(tmp_path, version=2)
    await process.control.change(Reload())
    assert (serving_then, len(process.registry.ready)) == ([0, 1], 2)


async def objects_that_stay() -> Counter[str]:
    """Return how many objects there are of each kind, at the least: the last version that went is told of later."""
    looks = []
    for _ in range(5):
        await asyncio.sleep(0.05)
        gc.collect()
        looks.append(Counter(type(each).__qualname__ for each in gc.get_objects()))
    return reduce(and_, looks)


async def test_versions_that_are_opened_anew_leave_nothing_behind(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    process = Process(tmp_path)
    await process.control.open()
    counts = []
    for _ in range(4):
        for _ in range(10):
            await process.control.change(Load("tiny", 1))
        counts.append(await objects_that_stay())
    more = {kind: count - counts[1][kind] for kind, count in counts[3].items() if count - counts[1][kind] >= 10}
    assert not more, "one for every second version, of twenty opened meanwhile, or more"


class Sibling(Process):
    """One of several processes; the test is its supervisor."""

    def __init__(self, root: Path) -> None:
        self.pipe, far = Pipe()
        super().__init__(root, Link(far, Plan(opened=survey(root))))

    async def said(self) -> Any:
        """Return what the process says next."""
        return await asyncio.wait_for(asyncio.to_thread(self.pipe.recv), 30)


@pytest.fixture
async def sibling(tmp_path: Path) -> Sibling:
    copy_tiny(tmp_path)
    made = Sibling(tmp_path)
    await made.control.open()
    opened = await made.said()
    assert isinstance(opened, Opened)
    assert opened.plan == made.registry.now.plan
    return made


async def test_a_vote_changes_nothing_until_it_is_decided(sibling: Sibling, tmp_path: Path) -> None:
    copy_tiny(tmp_path, version=2)
    sibling.pipe.send(Prepare(1, Reload()))
    vote = await sibling.said()
    assert isinstance(vote, Vote)
    assert (vote.number, vote.error, vote.outcome.loaded) == (1, None, (("tiny", 2),))
    assert sorted(sibling.registry.versions("tiny")) == [1]
    sibling.pipe.send(Decide(1, Reload(), None, counts=True))
    assert await sibling.said() == Done(1)
    assert sibling.registry.now.plan == vote.plan
    assert sibling.counted("reload", "done") == 1


async def test_what_is_decided_against_is_forgotten_for_good(sibling: Sibling, tmp_path: Path) -> None:
    copy_tiny(tmp_path, version=2)
    sibling.pipe.send(Prepare(1, Reload()))
    await sibling.said()
    sibling.pipe.send(Decide(1, Reload(), ChangeRefused("a sibling could not"), counts=True))
    sibling.pipe.send(Decide(1, Reload(), None, counts=False))  # too late: nothing is prepared any more
    sibling.pipe.send(Prepare(2, Load("tiny", 9)))
    vote = await sibling.said()
    assert (vote.number, vote.plan, type(vote.error)) == (2, None, ModelNotFound)
    assert sorted(sibling.registry.versions("tiny")) == [1]
    assert sibling.counted("reload", "refused") == 1


async def test_a_change_is_asked_of_the_supervisor_and_its_answer_returned(sibling: Sibling) -> None:
    asking = asyncio.create_task(sibling.control.change(Reload()))
    asked = await sibling.said()
    assert asked == Asked(1, Reload())
    sibling.pipe.send(Answered(1, Outcome(), workers=2))
    assert (await asking).workers == 2
    refused = asyncio.create_task(sibling.control.change(Reload()))
    assert await sibling.said() == Asked(1, Reload())
    sibling.pipe.send(Answered(1, error=ChangeRefused("one could not")))
    with pytest.raises(ChangeRefused, match="one could not"):
        await refused


async def test_without_a_supervisor_whoever_waits_hears_so(sibling: Sibling) -> None:
    asking = asyncio.create_task(sibling.control.change(Reload()))
    await sibling.said()
    sibling.pipe.close()
    with pytest.raises(ChangeRefused, match="the supervisor is gone"):
        await asking
