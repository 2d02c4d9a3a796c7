"""Which verbs a run's file goes to: its `task` says whether it classifies, quotes or writes."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from app.modelpack.manifest import CLASSIFYING
from training.errors import ConfigError
from training.fields import read_table
from training.paths import RunPaths
from training.trainer import Machines

Say = Callable[[str], None]


class Named(Protocol):
    """A run's config."""

    @property
    def name(self) -> str:
        """The run's folder below that of all runs."""


RunT = TypeVar("RunT", bound=Named)


@dataclass(frozen=True, slots=True)
class Verbs(Generic[RunT]):
    """The verbs of a task, each given the run's TOML file; what they do is done by the task's own functions."""

    load: Callable[[Path], RunT]
    preparing: Callable[[RunT, Path, RunPaths, Say], object]
    training: Callable[..., object]
    exporting: Callable[[RunT, RunPaths], Iterable[Path]]
    packing: Callable[..., Path]
    pretraining: Callable[..., object] | None = None

    def prepare(self, config: Path, data: Path, runs: Path, say: Say) -> None:
        """Train the vocabulary and encode the splits."""
        run, paths = self._run(config, runs)
        self.preparing(run, data, paths, say)

    def pretrain(self, config: Path, runs: Path, say: Say, *, resume: bool, machines: Machines) -> None:
        """Fit the stages before the labels; `ConfigError` where the task has none."""
        if self.pretraining is None:
            raise ConfigError(f"{config}: a run of its task has no stage to pre-train; go on with `train`")
        run, paths = self._run(config, runs)
        self.pretraining(run, paths, say, resume=resume, machines=machines)

    def train(self, config: Path, runs: Path, say: Say, *, resume: bool, machines: Machines) -> None:
        """Fit the network."""
        run, paths = self._run(config, runs)
        self.training(run, paths, say, resume=resume, machines=machines)
        shutil.copyfile(config, paths.config)

    def export(self, config: Path, runs: Path, say: Say) -> None:
        """Write the network as ONNX, in fp32 and int8."""
        for path in self.exporting(*self._run(config, runs)):
            say(f"export: {path}: {path.stat().st_size / 1e6:.2f} MB")

    def pack(self, config: Path, data: Path, runs: Path, models: Path, *, split: str, say: Say) -> None:
        """Check the graphs, score them, and write the package."""
        run, paths = self._run(config, runs)
        say(f"pack: wrote {self.packing(run, data, paths, models, split=split, say=say)}")

    def _run(self, config: Path, runs: Path) -> tuple[RunT, RunPaths]:
        run = self.load(config)
        return run, RunPaths(runs / run.name)


# Imported when asked for, so that a verb of one task does not wait for the others' libraries; each has its VERBS.
_MODULES: Mapping[str, str] = {"extract": "training.extractive.verbs", "summarize": "training.summarize.verbs"}


def verbs_of(config: Path) -> Verbs[Any] | None:
    """Return the verbs of a run that summarizes, None for one that classifies; `ConfigError` where it is unreadable."""
    module = _MODULES.get(str(read_table(config).get("task")))
    if module is None:
        return None
    verbs: Verbs[Any] = import_module(module).VERBS
    return verbs


def refuse_other(config: Path, *tasks: str) -> None:
    """Raise `ConfigError` for a run of a task that is none of ``tasks``; what is no task at all is not told here."""
    task = read_table(config).get("task")
    if task in {*CLASSIFYING, *_MODULES} and task not in tasks:
        raise ConfigError(f"{config}: task is {task!r}; expected {' or '.join(tasks)}, which alone have this verb")
