"""A run's settings with some of them changed: dotted keys over a table as TOML gives it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from training.errors import ConfigError


def overridden(table: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a copy of `table` in which each dotted key of `overrides` holds its value.

    A number picks from an array: `sets.0.metric`. A table that is not there yet is made, since a section may be left
    out of a run's file; whether the run knows the key is for its schema to say. `ConfigError` names `where` the
    override stood, where its key leads through something that holds no keys.
    """
    changed = deepcopy(dict(table))
    for key, value in overrides.items():
        *way, last = key.split(".")
        at: Any = changed
        for part in way:
            at = _step(at, part, key, where)
        if isinstance(at, list):
            at[_place(at, last, key, where)] = deepcopy(value)
        elif isinstance(at, dict):
            at[last] = deepcopy(value)
        else:
            raise ConfigError(f"{where}: {key!r}: {last!r} lies inside {at!r}, which is no table")
    return changed


def _step(at: Any, part: str, key: str, where: str) -> Any:
    if isinstance(at, list):
        return at[_place(at, part, key, where)]
    if isinstance(at, dict):
        return at.setdefault(part, {})
    raise ConfigError(f"{where}: {key!r}: {part!r} lies inside {at!r}, which is no table")


def _place(array: list[Any], part: str, key: str, where: str) -> int:
    if part.isdecimal() and int(part) < len(array):
        return int(part)
    raise ConfigError(f"{where}: {key!r}: {part!r} is no place in an array of {len(array)}")
