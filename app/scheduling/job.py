"""What waits for compute: a request's rows for one lane, and each of them."""

from collections.abc import Hashable, Sized
from dataclasses import dataclass, field

from app.scheduling.policy import Priority


@dataclass(slots=True, eq=False)
class Row:
    """One text of a job: what its lane reads of it, such as ids int64[T], and where its answer goes."""

    job: "Job"
    index: int
    ids: Sized
    order: int = 0
    cost_s: float = 0.0
    """Its share of a full batch of its like, as it was forecast when it came."""
    share: float = 0.0
    """The same as a part of that batch, 1 where it fills one."""
    length: int = field(init=False)
    """Tokens, at least one: what the row adds to the queue and to a batch; of a document, its padded cells."""

    def __post_init__(self) -> None:
        self.length = len(self.ids)


@dataclass(slots=True, eq=False)
class Job:
    """The rows of one request that go to one lane."""

    lane: Hashable
    deadline: float
    """On the clock of ``time.monotonic``; a row that has not started by then never does."""
    rows: list[Row] = field(default_factory=list)
    priority: Priority = "interactive"
    due: float = 0.0
