"""What an operator may change while the service runs, and what came of it: plain values that pass between processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.modelpack.store import Key
from app.runtime.traffic import Alias, Shadow, Traffic


@dataclass(frozen=True, slots=True)
class Load:
    """Open a version anew from what is on disk; without ``version`` all versions of the package that are there."""

    name: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Unload:
    """Close a version, or all of the package; it stays closed until it is loaded."""

    name: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Reload:
    """Bring what is open in line with what is on disk, of one package or of all.

    What is new or has changed is opened, what is gone is closed. What is refused leaves the one before it serving.
    """

    name: str | None = None


@dataclass(frozen=True, slots=True)
class SetAliases:
    """Give a package these aliases in place of those it has."""

    name: str
    aliases: Mapping[str, Alias]


@dataclass(frozen=True, slots=True)
class SetShadow:
    """Let a candidate answer a share of the package's texts too, unseen; ``None`` ends that."""

    name: str
    shadow: Shadow | None


Change = Load | Unload | Reload | SetAliases | SetShadow


def action(change: Change) -> str:
    """Return the change's name, for logs and metrics."""
    return type(change).__name__.lower().removeprefix("set")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is open, so that a process which starts later, or changes at the same time, can be held to the same.

    ``opened``: the digest of each package that is; ``refused``: why each that is on disk is not.
    """

    opened: Mapping[Key, str] = field(default_factory=dict)
    refused: Mapping[Key, str] = field(default_factory=dict)
    unloaded: frozenset[Key] = frozenset()
    traffic: Mapping[str, Traffic] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change did; ``refused``: the packages that could not be opened, and why."""

    loaded: tuple[Key, ...] = ()
    unloaded: tuple[Key, ...] = ()
    refused: Mapping[Key, str] = field(default_factory=dict)
