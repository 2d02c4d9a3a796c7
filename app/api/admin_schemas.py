"""The JSON of the admin routes, as the documentation shows it and as requests are checked."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.api.schemas import ALIAS
from app.errors import ModelNotFound

_MAX_ALIASES = 16
_MAX_VERSION_DIGITS = 9

AliasName = Annotated[str, StringConstraints(pattern=f"^{ALIAS.pattern}$")]


class AliasSetting(BaseModel):
    """What one alias stands for."""

    model_config = ConfigDict(strict=True, extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The version that it names; left out for latest alone, which is the highest that is open."
    )
    weight: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = Field(
        0.0, description="Its part of the requests that name no version, beside the weights of the others."
    )


class AliasesRequest(BaseModel):
    """A package's aliases, all of them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    aliases: Annotated[dict[AliasName, AliasSetting], Field(max_length=_MAX_ALIASES)]


class ShadowValue(BaseModel):
    """A candidate, and how much of the traffic it is asked too."""

    model_config = ConfigDict(strict=True, extra="forbid")

    version: Annotated[int, Field(ge=1)] = Field(description="The candidate: a version that is open.")
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        description="Share of the requests that name no version by number, 1 for all."
    )


class ShadowRequest(BaseModel):
    """A package's shadow; null ends it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    shadow: ShadowValue | None


class Refusal(BaseModel):
    """A package that was not opened; what served before serves on."""

    model: str
    version: int
    reason: str


class ChangeReport(BaseModel):
    """What a change did, as name/version, in every process."""

    workers: int = Field(description="Processes that made the change.")
    loaded: list[str]
    unloaded: list[str]
    refused: list[Refusal]


def version_of(text: str) -> int:
    """Return a version from a path; ``ModelNotFound`` where it is no whole number above 0."""
    if not (text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MAX_VERSION_DIGITS):
        raise ModelNotFound(f"version {text[:32]!r} is no version; expected a whole number above 0")
    return int(text)
