"""What every part of a manifest is: checked to the letter, without unknown fields, and never changed once read."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """The base of every section of manifest.json."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
