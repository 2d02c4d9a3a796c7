"""What a client of the protocol asks and gets, as plain values that know neither HTTP nor gRPC."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.api.oip.tensor import Tensor
from app.arrays import Terms
from app.errors import InvalidInference
from app.keys.allowance import Allowance
from app.scheduling.haste import UNHURRIED, Haste

Parameters = Mapping[str, Any]

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Inference:
    """A request: tensors for a package; ``outputs`` are the names that are wanted, ``None`` for all there are."""

    model: str
    version: str | None
    inputs: Sequence[Tensor]
    outputs: Sequence[str] | None = None
    id: str = ""
    parameters: Parameters = field(default_factory=dict)
    allowance: Allowance | None = None
    """What the caller's key may still ask for, where it has a limit."""
    haste: Haste = UNHURRIED
    """What its headers say of that."""
    key: str = ""
    """Requests with the same key get the same version, where versions share the traffic."""

    @property
    def terms(self) -> Terms:
        """Under which the request is answered; ``InvalidInference`` where its parameters do not say it well."""
        return Terms(sooner(self.haste, self.parameters), self.allowance)


def sooner(haste: Haste, parameters: Parameters) -> Haste:
    """Return ``haste`` with the parameter ``timeout``, where there is one: microseconds from now; 0 is none."""
    asked = parameters.get("timeout", 0)
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
        raise InvalidInference(f"parameters.timeout is {asked!r}; expected microseconds, a whole number")
    if not asked:
        return haste
    until = time.monotonic() + asked / _MICROSECONDS
    return replace(haste, until=until if haste.until is None else min(until, haste.until))


@dataclass(frozen=True, slots=True)
class Inferred:
    """An answer: the outputs in the order in which they were asked for."""

    model: str
    version: str
    outputs: Sequence[Tensor]
    id: str = ""
    tokens: int = 0
    parameters: Parameters = field(default_factory=dict)
