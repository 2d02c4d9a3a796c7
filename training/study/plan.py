"""A comparison as its TOML file declares it, and the runs that it comes to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from training.config import RunConfig
from training.fields import Name, Positive, read_table, validated
from training.study.material import ExtraSplit, Material, Strict, StudySet
from training.study.overrides import overridden

Overrides = dict[str, Any]
Side = Literal["off", "on"]
SIDES: tuple[Side, ...] = ("off", "on")


class Technique(Strict):
    """One thing that a run does or does not: overrides of the base for either side.

    `by_set` and `off_by_set` hold what either side says differently for one set, such as the name of unlabelled text in
    its language.
    """

    name: Annotated[str, StringConstraints(min_length=1)]
    group: str
    paper: str = ""
    note: str = ""
    off: Overrides = Field(default_factory=dict)
    on: Overrides
    by_set: dict[str, Overrides] = Field(default_factory=dict)
    off_by_set: dict[str, Overrides] = Field(default_factory=dict)

    def overrides(self, side: Side, set_name: str) -> Overrides:
        """Return what one side changes of the base on one set."""
        common, own = (self.off, self.off_by_set) if side == "off" else (self.on, self.by_set)
        return common | own.get(set_name, {})


class Cell(Strict):
    """A kind of recurrent cell: what it changes of the base."""

    name: str
    on: Overrides


class LatencyPlan(Strict):
    """How the cells' graphs are timed: sizes of the network, and shapes of rows and tokens."""

    at: Overrides
    set: Name
    shapes: tuple[tuple[Positive, Positive], ...]
    repeats: Positive


class Comparison(Strict):
    """A whole comparison; `base` is a run's settings without what its sets say.

    In the file it may be the path of a run's file instead, whose sets then count for nothing. `extra` splits are part
    of every run's data; `added` ones, which joined when there were runs already, only of the runs that read them.
    """

    name: Name
    seeds: tuple[int, ...] = Field(min_length=2)
    base: dict[str, Any]
    sets: tuple[StudySet, ...] = Field(min_length=1)
    extra: tuple[ExtraSplit, ...] = ()
    added: tuple[ExtraSplit, ...] = ()
    techniques: tuple[Technique, ...]
    cells: tuple[Cell, ...] = ()
    latency: LatencyPlan | None = None

    @model_validator(mode="after")
    def _names_are_known_and_unique(self) -> Self:
        sets = [one.name for one in self.sets]
        for what, names in (
            ("sets", sets),
            ("techniques", [one.name for one in self.techniques]),
            ("cells", [one.name for one in self.cells]),
            ("seeds", [str(seed) for seed in self.seeds]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{what}: one occurs twice in {names}")
        asked = {name for one in self.techniques for name in (*one.by_set, *one.off_by_set)} | (
            {self.latency.set} if self.latency else set()
        )
        if strange := sorted(asked - set(sets)):
            raise ValueError(f"{strange[0]!r} is none of the sets {sets}")
        splits = [(one.name, one.split) for one in self.sets]
        splits += [(one.name, one.split) for one in (*self.extra, *self.added)]
        for one in self.added:
            if splits.count((one.name, one.split)) > 1:
                raise ValueError(f"added: {one.name}/{one.split} is laid out already")
        return self


@dataclass(frozen=True, slots=True)
class Job:
    """One run to do; `key` stands for all its settings and its data, and for nothing else."""

    key: str
    config: RunConfig


def load(path: Path) -> Comparison:
    """Read a comparison's file and check every run that it comes to; `ConfigError` names technique and key."""
    table = read_table(path)
    if isinstance(table.get("base"), str):
        table["base"] = read_table(path.parent / table["base"])
    found = validated(Comparison, table, str(path))
    for one in found.sets:
        for where, changed in _variants(found, one.name):
            run_config(found.base, one, name=found.name, seed=found.seeds[0], changed=changed, where=f"{path}: {where}")
    return found


def run_config(
    base: Mapping[str, Any], one: StudySet, *, name: str, seed: int, changed: Overrides, where: str
) -> RunConfig:
    """Return the run of `base` on one set with some settings changed; `ConfigError` names `where` they stood."""
    part = {"split": one.split, "rows_per_epoch": one.train_rows, "balance": one.balance}
    identity = {
        "name": f"{name}-{one.name}".replace("_", "-"),
        "version": 1,
        "task": "sentiment",
        "languages": [one.language],
        "labels": list(one.labels),
        "summary": f"A run of the study {name}.",
        "limits": [],
        "seed": seed,
        "sets": [
            {"name": one.name, "metric": one.metric, "train": [part], "title": one.name, "source": "", "licence": ""}
        ],
    }
    table = overridden({**base, **identity}, {"loop.dev_rows": one.dev_rows} | one.settings | changed, where)
    return validated(RunConfig, table, where)


def job(plan: Comparison, one: StudySet, seed: int, changed: Overrides, material: Material) -> Job:
    """Return the job of one variant; two techniques whose sides are alike come to the same one."""
    config = run_config(plan.base, one, name=plan.name, seed=seed, changed=changed, where=plan.name)
    return Job(material.key(config), config)


def jobs(plan: Comparison, material: Material) -> list[Job]:
    """Return every job once, seed by seed, so that a study cut short has all techniques, by fewer seeds."""
    found: dict[str, Job] = {}
    for seed in plan.seeds:
        for one in plan.sets:
            for _, changed in _variants(plan, one.name):
                made = job(plan, one, seed, changed, material)
                found.setdefault(made.key, made)
    return list(found.values())


def _variants(plan: Comparison, set_name: str) -> Iterator[tuple[str, Overrides]]:
    yield "base", {}
    for technique in plan.techniques:
        for side in SIDES:
            yield f"technique {technique.name!r}, {side}", technique.overrides(side, set_name)
    for cell in plan.cells:
        yield f"cell {cell.name!r}", cell.on
