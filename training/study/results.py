"""What a comparison measured, as the JSON that is kept: every page and picture is made of this and of nothing else."""

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from pydantic import Field

from training.fields import validated
from training.study.latency import Speed
from training.study.ledger import Entry, Ledger
from training.study.material import Material, Strict, StudySet
from training.study.plan import SIDES, Comparison, Overrides, Side, job


class Run(Strict):
    """One run: its figure and cost, or the reason why it has none."""

    seed: int
    score: float | None = None
    parameters: int | None = None
    epochs: int | None = None
    seconds_per_epoch: float | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    failed: str = ""


class TechniqueRuns(Strict):
    """A technique's runs by set and side, with the settings that either side changes."""

    name: str
    group: str
    paper: str
    note: str
    changes: dict[str, dict[Side, Overrides]]
    runs: dict[str, dict[Side, tuple[Run, ...]]]


class CellRuns(Strict):
    """A cell's runs by set, and how fast its graphs are, where that was asked for."""

    name: str
    changes: Overrides
    runs: dict[str, tuple[Run, ...]]
    speed: Speed | None = None


class Results(Strict):
    """A whole comparison as measured."""

    name: str
    date: str
    machine: dict[str, str]
    seeds: tuple[int, ...]
    sets: tuple[StudySet, ...]
    base: dict[str, Any]
    base_runs: dict[str, tuple[Run, ...]]
    techniques: tuple[TechniqueRuns, ...]
    cells: tuple[CellRuns, ...] = ()
    latency_at: Overrides = Field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write as JSON, one that a person can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> Results:
    """Read what `Results.write` wrote."""
    return validated(Results, json.loads(path.read_text(encoding="utf-8")), str(path))


def machine() -> dict[str, str]:
    """Say what the figures were measured with."""
    return {
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def collect(plan: Comparison, material: Material, ledger: Ledger, speeds: Mapping[str, Speed]) -> Results:
    """Gather what the ledger has of every variant of the plan, and the cells' speeds by name."""

    def runs(one: StudySet, changed: Overrides) -> tuple[Run, ...]:
        return tuple(run_of(seed, ledger.get(job(plan, one, seed, changed, material).key)) for seed in plan.seeds)

    return Results(
        name=plan.name,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        seeds=plan.seeds,
        sets=plan.sets,
        base=dict(plan.base),
        base_runs={one.name: runs(one, {}) for one in plan.sets},
        techniques=tuple(
            TechniqueRuns(
                name=technique.name,
                group=technique.group,
                paper=technique.paper,
                note=technique.note,
                changes={one.name: {side: technique.overrides(side, one.name) for side in SIDES} for one in plan.sets},
                runs={
                    one.name: {side: runs(one, technique.overrides(side, one.name)) for side in SIDES}
                    for one in plan.sets
                },
            )
            for technique in plan.techniques
        ),
        cells=tuple(
            CellRuns(
                name=cell.name,
                changes=cell.on,
                runs={one.name: runs(one, cell.on) for one in plan.sets},
                speed=speeds.get(cell.name),
            )
            for cell in plan.cells
        ),
        latency_at=plan.latency.at if plan.latency else {},
    )


def run_of(seed: int, entry: Entry | None) -> Run:
    """Return what the results say of a job that ended so, or has not ended."""
    if entry is None:
        return Run(seed=seed, failed="not run")
    if entry.outcome is None:
        return Run(seed=seed, failed=entry.reason)
    found = entry.outcome
    return Run(
        seed=seed,
        score=round(found.score, 6),
        parameters=found.parameters,
        epochs=found.epochs,
        seconds_per_epoch=found.seconds_per_epoch,
        seconds=found.seconds,
        cpu_seconds=found.cpu_seconds,
    )
