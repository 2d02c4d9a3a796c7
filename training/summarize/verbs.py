"""The verbs of `sluice-train` for a run that writes, each given the run's TOML file."""

import shutil
from collections.abc import Callable
from pathlib import Path

from training.paths import RunPaths
from training.summarize import config as configs
from training.summarize import export as exporting
from training.summarize import pack as packing
from training.summarize import prepare as preparing
from training.summarize import stages
from training.trainer import Machines

Say = Callable[[str], None]


def prepare(config: Path, data: Path, runs: Path, say: Say) -> None:
    """Train the vocabulary and encode pairs and documents."""
    run = configs.load(config)
    preparing.prepare(run, data, RunPaths(runs / run.name), say)


def pretrain(config: Path, runs: Path, say: Say, *, resume: bool, machines: Machines) -> None:
    """Fit the stages before the summaries."""
    run = configs.load(config)
    stages.pretrain(run, RunPaths(runs / run.name), say, resume=resume, machines=machines)


def train(config: Path, runs: Path, say: Say, *, resume: bool, machines: Machines) -> None:
    """Fit the network on summaries."""
    run = configs.load(config)
    paths = RunPaths(runs / run.name)
    stages.train(run, paths, say, resume=resume, machines=machines)
    shutil.copyfile(config, paths.config)


def export(config: Path, runs: Path, say: Say) -> None:
    """Write encoder and step as ONNX, in fp32 and int8."""
    run = configs.load(config)
    for path in exporting.export(run, RunPaths(runs / run.name)):
        say(f"export: {path}: {path.stat().st_size / 1e6:.2f} MB")


def pack(config: Path, data: Path, runs: Path, models: Path, *, split: str, say: Say) -> None:
    """Check the graphs, score them, and write the package."""
    run = configs.load(config)
    say(f"pack: wrote {packing.pack(run, data, RunPaths(runs / run.name), models, split=split, say=say)}")
