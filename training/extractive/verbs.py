"""The verbs of `sluice-train` for a run that quotes, each given the run's TOML file."""

import shutil
from collections.abc import Callable
from pathlib import Path

from training.extractive import config as configs
from training.extractive import prepare as preparing
from training.extractive import train as training
from training.paths import RunPaths

Say = Callable[[str], None]


def prepare(config: Path, data: Path, runs: Path, say: Say) -> None:
    """Train the tokenizer, label sentences and encode the training and dev splits."""
    run = configs.load(config)
    preparing.prepare(run, data, RunPaths(runs / run.name), say)


def train(config: Path, runs: Path, say: Say, *, resume: bool) -> None:
    """Fit the network."""
    run = configs.load(config)
    paths = RunPaths(runs / run.name)
    training.train(run, paths, say, resume=resume)
    shutil.copyfile(config, paths.config)
