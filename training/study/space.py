"""A search as its TOML file declares it: a base, a set, a space of settings and a budget."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import Field, model_validator

from training.config import RunConfig
from training.errors import ConfigError
from training.fields import Name, Positive, read_table, validated
from training.study.material import ExtraSplit, Strict, StudySet
from training.study.plan import Overrides, run_config

Value = float | int | str | bool


class Number(Strict):
    """A setting between two numbers, both among its values; `log` searches its logarithm."""

    kind: Literal["float", "int"]
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low:g}, high = {self.high:g}: expected low below high")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low:g}: expected above 0 with log = true")
        if self.kind == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"low = {self.low:g}, high = {self.high:g}: expected whole numbers for an int")
        return self

    def suggest(self, trial: optuna.Trial, key: str) -> Value:
        """Let a trial choose."""
        if self.kind == "int":
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def holds(self, value: object) -> bool:
        """Say whether a value lies in the space."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


class Choice(Strict):
    """A setting that is one of a few values."""

    kind: Literal["choice"]
    values: tuple[Value, ...] = Field(min_length=2)

    def suggest(self, trial: optuna.Trial, key: str) -> Value:
        """Let a trial choose."""
        return self.values[self.values.index(trial.suggest_categorical(key, self.values))]

    def holds(self, value: object) -> bool:
        """Say whether a value lies in the space."""
        return value in self.values


Dimension = Annotated[Number | Choice, Field(discriminator="kind")]


class Pruning(Strict):
    """When a trial is given up: its dev score after an epoch is below the median of earlier trials after theirs."""

    startup_trials: Positive = 5
    warmup_epochs: Annotated[int, Field(ge=0)] = 1


class Search(Strict):
    """A whole search; `base` is as a comparison's.

    Every trial runs with `seed`. As the best of many is best by luck too, it meets the base again with `confirm_seeds`.
    """

    name: Name
    seed: int
    confirm_seeds: tuple[int, ...] = Field(min_length=2)
    base: dict[str, Any]
    set: StudySet
    extra: tuple[ExtraSplit, ...] = ()
    space: dict[str, Dimension] = Field(min_length=1)
    pruning: Pruning = Pruning()

    @model_validator(mode="after")
    def _confirmed_with_other_seeds(self) -> Self:
        if self.seed in self.confirm_seeds:
            raise ValueError(f"confirm_seeds: {self.seed} is the search's own seed; expected others")
        if len(set(self.confirm_seeds)) < len(self.confirm_seeds):
            raise ValueError(f"confirm_seeds: one occurs twice in {self.confirm_seeds}")
        return self

    def config(self, seed: int, changed: Overrides) -> RunConfig:
        """Return the run of some settings."""
        return run_config(self.base, self.set, name=self.name, seed=seed, changed=changed, where=self.name)

    def start(self) -> dict[str, Value] | None:
        """Return the base's own point, if the space holds it: the first trial, so that the base is weighed too."""
        settings = self.config(self.seed, {}).model_dump(mode="json")
        point = {key: _at(settings, key) for key in self.space}
        inside = all(self.space[key].holds(value) for key, value in point.items())
        return point if inside else None


def load(path: Path) -> Search:
    """Read a search's file; `ConfigError` names the key where the base or an end of the space is no valid run."""
    table = read_table(path)
    if isinstance(table.get("base"), str):
        table["base"] = read_table(path.parent / table["base"])
    found = validated(Search, table, str(path))
    found.config(found.seed, {})
    for key, dimension in found.space.items():
        try:
            for value in _ends(dimension):
                found.config(found.seed, {key: value})
        except ConfigError as error:
            raise ConfigError(f"{path}: space.{key}: {error}") from error
    return found


def _ends(dimension: Number | Choice) -> tuple[Value, ...]:
    if isinstance(dimension, Choice):
        return dimension.values
    ends = (dimension.low, dimension.high)
    return tuple(int(end) for end in ends) if dimension.kind == "int" else ends


def _at(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings[int(part)] if isinstance(settings, list) else settings[part]
    return settings
