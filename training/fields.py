"""What every TOML file of a run is made of: kinds of values, strict tables, and how a fault in one is told."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from training.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Factor = Annotated[float, Field(gt=0.0, lt=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[int, Field(gt=0)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Strict(BaseModel):
    """A table that knows all of its keys and takes no value of another type."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def read_table(path: Path) -> dict[str, Any]:
    """Read any TOML file; `ConfigError` where it is missing or malformed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def validated(kind: type[Model], table: Mapping[str, Any], where: str) -> Model:
    """Return the table as a `kind`; `ConfigError` names `where` it stood, the key and what was expected."""
    try:
        # By way of JSON, because TOML has arrays only and pydantic's strict mode takes no list for a tuple elsewhere.
        return kind.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise ConfigError("\n".join(_complaints(where, error))) from error


def _complaints(where: str, error: ValidationError) -> list[str]:
    lines = []
    for one in error.errors(include_url=False):
        key = ".".join(str(part) for part in one["loc"]) or "(file)"
        known = f"unknown key {key!r}" if one["type"] == "extra_forbidden" else f"{key}: {one['msg']}"
        value = "" if one["type"] == "missing" else f" (got {one['input']!r})"
        lines.append(f"{where}: {known}{value}")
    return lines
