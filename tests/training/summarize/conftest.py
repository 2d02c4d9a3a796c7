"""One tiny run of a summarizer, made once the whole way."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.conftest import DATA, FIXTURES
from training.paths import RunPaths
from training.summarize import config as configs
from training.summarize import export, pack, prepare, stages
from training.summarize.config import SummarizeConfig

TINY = FIXTURES / "configs" / "tiny-summaries.toml"


@dataclass(frozen=True)
class TinyRun:
    """A finished run, the package it yielded, and what was said."""

    config: SummarizeConfig
    paths: RunPaths
    package: Path
    said: list[str]


@pytest.fixture(scope="session")
def tiny() -> SummarizeConfig:
    """Return the tiny config."""
    return configs.load(TINY)


@pytest.fixture(scope="session")
def prepared(tiny: SummarizeConfig, tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """Return a prepared run; read it, and copy it before writing."""
    paths = RunPaths(tmp_path_factory.mktemp("prepared") / tiny.name)
    prepare.prepare(tiny, DATA, paths, lambda _: None)
    return paths


@pytest.fixture(scope="session")
def run(tiny: SummarizeConfig, prepared: RunPaths, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """Return a run that went through every verb; read it only."""
    said: list[str] = []
    paths = prepared.below("whole")
    stages.pretrain(tiny, paths, said.append)
    stages.train(tiny, paths, said.append)
    export.export(tiny, paths)
    models = tmp_path_factory.mktemp("models")
    package = pack.pack(tiny, DATA, paths, models, split="test", say=said.append)
    return TinyRun(tiny, paths, package, said)
