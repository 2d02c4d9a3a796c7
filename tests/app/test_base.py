"""Packages that open before there is a service: those that are as they are wanted are taken, and no others."""

import ctypes
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from app.base import base_of, early_base, learn
from app.errors import StartupError
from app.modelpack.store import Package, survey
from app.runtime.changes import Plan
from app.runtime.early import Opening
from app.runtime.model import Model
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.registry import Registry
from app.runtime.summarizer import Summarizer
from app.settings import Settings
from tests.packages import TINY, copy_tiny, edit_manifest
from tests.parrot import parrot

ROOT = Path(__file__).parents[2]
ONE = ("tiny", 1)


class Counting:
    """Opens packages, and keeps what it opened."""

    def __init__(self, root: Path) -> None:
        self.opened: list[str] = []
        self.registry = Registry(root, self._open)

    def _open(self, package: Package) -> Model:
        self.opened.append(package.digest)
        return open_model(package, choose("cpu"))


def test_what_was_opened_early_is_not_opened_again(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    copy_tiny(tmp_path, version=2)
    (copy_tiny(tmp_path, version=3) / "model.onnx").unlink()
    counting = Counting(tmp_path)
    counting.registry.open_early()
    counting.registry.open_all()
    assert len(counting.opened) == 2
    assert counting.registry.get("sentiment", "tiny").version == "2"
    assert [refused.version for refused in counting.registry.failed] == [3]


def test_what_comes_after_an_early_opening_is_opened_and_what_went_is_not_served(tmp_path: Path) -> None:
    gone = copy_tiny(tmp_path, "gone")
    counting = Counting(tmp_path)
    counting.registry.open_early().join()
    gone.rename(tmp_path / "gone" / ".moved")
    copy_tiny(tmp_path)
    counting.registry.open_all()
    assert counting.registry.names == ["tiny"]


def test_a_plan_that_names_another_digest_has_the_package_opened_anew(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    counting = Counting(tmp_path)
    counting.registry.open_early().join()
    edit_manifest(folder, lambda manifest: manifest.update(description="another"))
    wanted = survey(tmp_path)
    counting.registry.open_all(Plan(opened=wanted))
    (model,) = counting.registry.ready
    assert model.package.digest == wanted[ONE]
    assert counting.opened[0] != counting.opened[1] == wanted[ONE]


def test_a_plan_that_names_the_same_digest_takes_what_is_open(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    counting = Counting(tmp_path)
    model = counting.registry.open_early()[ONE]
    assert isinstance(model, Model)
    counting.registry.open_all(Plan(opened={ONE: model.package.digest}))
    assert counting.registry.ready == [model]
    counting.registry.open_all(Plan(opened={ONE: model.package.digest}))
    assert counting.registry.ready != [model]  # once taken, it is not kept beside what replaces it


def test_no_thread_is_left_of_an_opening_that_was_joined() -> None:
    opening = Opening(Registry(TINY.parents[1], partial(open_model, provider=choose("cpu")))._opened, {ONE: None})
    opening.join()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("open")]
    assert isinstance(opening[ONE], Model)


def test_a_base_opens_early_at_the_precision_of_the_settings(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    settings = Settings(models_dir=tmp_path, provider="cpu", precision="fp32")
    base = early_base(settings)
    assert base is not None
    base.registry.open_all()
    assert [model.precision for model in base.registry.ready] == ["fp32"]


def test_what_steps_cost_is_learnt_before_there_is_a_service(tmp_path: Path) -> None:
    parrot(tmp_path)
    base = early_base(Settings(models_dir=tmp_path, provider="cpu"))
    assert base is not None
    base.registry.open_all()
    (model,) = base.registry.ready
    assert isinstance(model, Summarizer)
    beams = {1, *(int(kind.beams.default) for kind in model.generation.kinds.values())}
    known = [base.costs.of((model, each)) for each in sorted(beams)]
    assert all(cost.of(1, 16) > 0 for cost in known)
    learn(base.costs, model)
    assert [base.costs.of((model, each)) for each in sorted(beams)] == known  # measured once


def test_a_base_without_a_folder_of_packages_is_refused(tmp_path: Path) -> None:
    for made in (base_of, early_base):
        with pytest.raises(StartupError, match="expected a folder of model packages"):
            made(Settings(models_dir=tmp_path / "nowhere", provider="cpu"))


_OPENED = """
import ctypes, os, sys

from app.base import early_base
from app.settings import Settings

early_base(Settings(models_dir=sys.argv[1])).registry.join_early()
os.dup2(1, 2)  # where glibc writes to
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="only glibc's heap is told")
def test_packages_open_into_one_heap(tmp_path: Path) -> None:
    for version in (1, 2):
        copy_tiny(tmp_path, version=version)
    said = subprocess.run(
        [sys.executable, "-c", _OPENED, str(tmp_path)], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    assert [line for line in said.splitlines() if line.startswith("Arena ")] == ["Arena 0:"]
