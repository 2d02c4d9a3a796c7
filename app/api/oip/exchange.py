"""What a client of the protocol asks and gets, as plain values that know neither HTTP nor gRPC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.api.oip.tensor import Tensor
from app.arrays import Terms
from app.errors import InvalidInference
from app.keys.allowance import Allowance

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

    @property
    def terms(self) -> Terms:
        """Under which the request is answered; ``InvalidInference`` where its parameters do not say it well."""
        return Terms(self.timeout_s, self.allowance)

    @property
    def timeout_s(self) -> float | None:
        """The parameter ``timeout``, microseconds, in seconds; ``None`` where there is none, or it is 0."""
        asked = self.parameters.get("timeout", 0)
        if isinstance(asked, bool) or not isinstance(asked, int) or asked < 0:
            raise InvalidInference(f"parameters.timeout is {asked!r}; expected microseconds, a whole number")
        return asked / _MICROSECONDS or None


@dataclass(frozen=True, slots=True)
class Inferred:
    """An answer: the outputs in the order in which they were asked for."""

    model: str
    version: str
    outputs: Sequence[Tensor]
    id: str = ""
    tokens: int = 0
    parameters: Parameters = field(default_factory=dict)
