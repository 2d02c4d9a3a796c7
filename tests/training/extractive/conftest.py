"""One tiny extractor, made once the whole way, for every test that wants a trained one or its package."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from training.extractive import config as configs
from training.extractive import export, pack, prepare, train
from training.extractive.config import ExtractConfig
from training.paths import RunPaths

FIXTURES = Path(__file__).parents[2] / "fixtures"
TINY = FIXTURES / "configs" / "tiny-quotes.toml"
DATA = FIXTURES / "data"


@dataclass(frozen=True)
class QuotingRun:
    """A finished run and the package it yielded."""

    config: ExtractConfig
    paths: RunPaths
    package: Path


@pytest.fixture(scope="session")
def quoting() -> ExtractConfig:
    """Return the tiny config."""
    return configs.load(TINY)


@pytest.fixture(scope="session")
def quoting_prepared(quoting: ExtractConfig, tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """Return a prepared run; read it, and copy it before writing."""
    paths = RunPaths(tmp_path_factory.mktemp("prepared") / quoting.name)
    prepare.prepare(quoting, DATA, paths, lambda _: None)
    return paths


@pytest.fixture(scope="session")
def quoting_run(
    quoting: ExtractConfig, quoting_prepared: RunPaths, tmp_path_factory: pytest.TempPathFactory
) -> QuotingRun:
    """Return the tiny run, trained, exported and packed."""
    train.train(quoting, quoting_prepared, lambda _: None)
    export.export(quoting, quoting_prepared)
    models = tmp_path_factory.mktemp("models")
    package = pack.pack(quoting, DATA, quoting_prepared, models, split="test", say=lambda _: None)
    return QuotingRun(quoting, quoting_prepared, package)
