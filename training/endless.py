"""Training batches without end, a fixed number an epoch, in an order that a killed run takes up again."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Plan:
    """One walk: for each drawn row its source and its index there; and the batches of such rows, shuffled."""

    source: NDArray[np.int64]
    row: NDArray[np.int64]
    batches: list[NDArray[np.int64]]


PlanT = TypeVar("PlanT", bound=Plan)
BatchT = TypeVar("BatchT")


class Endless(ABC, Generic[PlanT, BatchT]):
    """Plan after plan, each a function of the seed and its number.

    Each plan walks once through the rows an epoch is made of, and as batches are cut by length, one plan has a few more
    batches than another; so plans follow each other without regard to where the trainer ends an epoch.
    The state is three numbers, which Lightning keeps in the checkpoint: a run killed inside an epoch goes on with the
    batch that would have come next.
    """

    def __init__(self) -> None:
        """Make the first plan; what it is made of must be there."""
        self._number = self._position = self._given = 0
        self._plan = self._planned(0)
        self._per_epoch = len(self._plan.batches)

    @abstractmethod
    def _planned(self, number: int) -> PlanT:
        """Return the plan of a number, from 0."""

    @abstractmethod
    def _batch(self, plan: PlanT, index: NDArray[np.int64]) -> BatchT:
        """Return the batch of those rows of a plan."""

    def __len__(self) -> int:
        return self._per_epoch

    def state_dict(self) -> dict[str, Any]:
        """Return where the next batch comes from."""
        return {"plan": self._number, "position": self._position, "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up again where `state_dict` was taken."""
        self._number, self._position, self._given = state["plan"], state["position"], state["given"]
        self._plan = self._planned(self._number)

    def __iter__(self) -> Iterator[BatchT]:
        """Give what is left of the epoch."""
        while True:
            if self._position == len(self._plan.batches):
                self._number, self._position = self._number + 1, 0
                self._plan = self._planned(self._number)
            index = self._plan.batches[self._position]
            # Moved before the batch is given, because the state is read while the batch is being learnt from.
            self._position += 1
            self._given += 1
            yield self._batch(self._plan, index)
            if self._given % self._per_epoch == 0:
                return
