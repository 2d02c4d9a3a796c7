"""One API key, and the file of keys: TOML, a line a key, with the key's hash in the place of the key.

    ci = {sha256 = "9f2c…", scopes = ["predict"], expires = 2027-01-01, items_per_minute = 6000}

A key is 256 random bits, so that its SHA-256 can be neither guessed nor turned back: what slow hashes such as bcrypt
protect are passwords that people choose, and each request would pay for them.
"""

import hashlib
import re
import secrets
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from app.errors import KeysError

Scope = Literal["predict", "admin", "metrics"]
SCOPES: tuple[Scope, ...] = ("predict", "admin", "metrics")

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""A key's name stands in logs and as a metric's label."""
_PREFIX = "sluice_"
"""By which a person, or a scanner of leaked secrets, knows what it is."""
_RANDOM_BYTES = 32
MAX_KEY_BYTES = 256


class Key(BaseModel):
    """What the file says of one key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(exclude=True)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scopes: frozenset[Scope] = Field(min_length=1)
    expires: date | datetime | None = Field(None, description="From then on it is no key; a date means its midnight.")
    items_per_minute: int | None = Field(None, ge=1, description="Texts that it may have answered.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Tokens of those texts.")

    @property
    def expires_at(self) -> float:
        """When it ends, in seconds since the epoch (UTC where the file names no zone)."""
        if self.expires is None:
            return float("inf")
        moment = self.expires if isinstance(self.expires, datetime) else datetime.combine(self.expires, time())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def digest_of(secret: bytes) -> bytes:
    """Return the SHA-256 of a key as a caller sends it."""
    return hashlib.sha256(secret).digest()


def mint() -> str:
    """Return a new key; nothing else ever knows it again."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def line_of(name: str, secret: str, settings: Mapping[str, Any]) -> str:
    """Return the file's line for a new key; ``KeysError`` where the file would be refused for it."""
    if not NAME.fullmatch(name):
        raise KeysError(f"the name is {name!r}; expected 1 to 63 of a-z, 0-9, - and _, the first a letter or digit")
    fields = {"sha256": f'"{digest_of(secret.encode()).hex()}"'}
    for field, value in settings.items():
        if value is not None:
            listed = isinstance(value, (list, tuple))
            fields[field] = "[{}]".format(", ".join(f'"{one}"' for one in value)) if listed else str(value)
    line = f"{name} = {{{', '.join(f'{field} = {value}' for field, value in fields.items())}}}"
    parse(line, "the line")
    return line


def read(file: Path) -> list[Key]:
    """Return the keys of a file; ``KeysError`` names the file, the key and the field that is wrong."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise KeysError(f"{file} cannot be read as text: {broken}") from broken
    return parse(text, str(file))


def parse(text: str, source: str) -> list[Key]:
    """Return the keys that ``text`` lists; at least one."""
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise KeysError(f"{source} is not TOML: {broken}") from broken
    keys = [_key(name, entry, source) for name, entry in entries.items()]
    if not keys:
        raise KeysError(f"{source} has no key; expected a line of `sluice keys new`")
    owners: dict[str, str] = {}
    for key in keys:
        if key.sha256 in owners:
            raise KeysError(f"{source}: {key.name} and {owners[key.sha256]} are the same key; expected one name a key")
        owners[key.sha256] = key.name
    return keys


def _key(name: str, entry: object, source: str) -> Key:
    if not NAME.fullmatch(name) or not isinstance(entry, dict):
        raise KeysError(f"{source}: {name!r} is no key; expected a line `name = {{sha256 = ..., scopes = [...]}}`")
    try:
        return Key(**{**entry, "name": name})
    except ValidationError as broken:
        first = broken.errors(include_url=False, include_input=False)[
            0
        ]  # without the value: it may be a key by mistake
        field = ".".join(str(part) for part in first["loc"])
        raise KeysError(f"{source}: {name}: {field}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
