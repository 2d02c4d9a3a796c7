"""One tiny run, made once the whole way, for every test that wants a trained network or a package."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from training import config as configs
from training import export, pack, prepare, train
from training.config import RunConfig
from training.paths import RunPaths

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = FIXTURES / "configs" / "tiny.toml"
DATA = FIXTURES / "data"


@dataclass(frozen=True)
class TinyRun:
    """A finished run and the package it yielded."""

    config: RunConfig
    paths: RunPaths
    models: Path
    package: Path


def copied(paths: RunPaths, folder: Path) -> RunPaths:
    """Return a copy of a run below `folder`, to be written to."""
    return RunPaths(Path(shutil.copytree(paths.root, folder / paths.root.name)))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on two threads, and pytest may have given the other core to other tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny() -> RunConfig:
    """Return the tiny config."""
    return configs.load(TINY)


@pytest.fixture(scope="session")
def prepared(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """Return a prepared run; read it, and copy it before writing."""
    paths = RunPaths(tmp_path_factory.mktemp("prepared") / tiny.name)
    prepare.prepare(tiny, DATA, paths, lambda _: None)
    return paths


@pytest.fixture(scope="session")
def run(tiny: RunConfig, prepared: RunPaths, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """Return the tiny run, trained, exported and packed."""
    models = tmp_path_factory.mktemp("models")
    paths = copied(prepared, tmp_path_factory.mktemp("run"))
    train.train(tiny, paths, lambda _: None)
    export.export(tiny, paths)
    package = pack.pack(tiny, DATA, paths, models, split="test", say=lambda _: None)
    return TinyRun(tiny, paths, models, package)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("SLUICE_")]:
        monkeypatch.delenv(name)
