"""Which version of a package answers whom: aliases, their weights, and a candidate that is only tried beside.

An alias names a version; ``latest``, which needs no setting, names the highest that is open. Requests that name neither
version nor alias are shared out among the aliases that have a weight. Without weights ``stable`` answers them where it
is set, and ``latest`` otherwise.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

LATEST, STABLE = "latest", "stable"
_MASK_BITS = 53
"""As many as a float holds exactly."""

Version = int | str
"""What a request may name: a version by its number, or by an alias."""


@dataclass(frozen=True, slots=True)
class Alias:
    """What a name stands for: a version, ``None`` for the highest, and its part of the requests that name none."""

    version: int | None
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Shadow:
    """A candidate that is asked a share of the texts too, and whose answers nobody is given."""

    version: int
    share: float

    def takes(self, name: str, key: str) -> bool:
        """Tell whether a request to package ``name`` is of the share: of the same key always or never.

        A larger share takes all that a smaller one does.
        """
        return chance(name, "its shadow", key) <= self.share


@dataclass(frozen=True, slots=True)
class Traffic:
    """How the requests to one package are shared out."""

    aliases: Mapping[str, Alias] = field(default_factory=dict)
    shadow: Shadow | None = None

    def alias_for(self, name: str, key: str) -> str | None:
        """Return the alias that answers a request to package ``name``; ``None`` where none is set for it.

        The same key gets the same alias for as long as the weights stand, and where they change only as many keys move
        as must (rendezvous hashing: Thaler & Ravishankar 1998).
        """
        weighted = {alias: its.weight for alias, its in self.aliases.items() if its.weight > 0}
        if not weighted:
            return STABLE if STABLE in self.aliases else None
        return min(weighted, key=lambda alias: -math.log(chance(name, alias, key)) / weighted[alias])

    def names(self, version: int) -> list[str]:
        """Return the aliases that name a version outright."""
        return [alias for alias, its in self.aliases.items() if its.version == version]


def chance(*parts: str) -> float:
    """Return a number above 0 and at most 1 that depends on ``parts`` alone, evenly spread over them."""
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return ((int.from_bytes(digest) >> (64 - _MASK_BITS)) + 1) / (1 << _MASK_BITS)
