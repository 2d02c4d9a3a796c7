"""The rows of one class that wait: in the order in which they are due, and by length in each lane."""

from bisect import bisect_left, insort
from collections.abc import Hashable
from operator import attrgetter

from app.scheduling.job import Job, Row

by_length = attrgetter("length", "order")
"""The order of the rows in a lane."""
_length = attrgetter("length")
_by_due = attrgetter("job.due", "order")

_FEW = 8
"""So many rows of one job and more are sorted in, not put to their places one by one."""


class Backlog:
    """What of one class waits; whoever touches it holds the queue's lock."""

    def __init__(self) -> None:
        self.due: list[Row] = []
        self.lanes: dict[Hashable, list[Row]] = {}
        self.tokens = 0
        self.cost_s = 0.0
        self.batches = 0.0

    def add(self, job: Job) -> None:
        """Take all rows of a job."""
        lane = self.lanes.setdefault(job.lane, [])
        is_last = not self.due or self.due[-1].job.due <= job.due
        if len(job.rows) < _FEW:
            for row in job.rows:
                if is_last:
                    self.due.append(row)
                else:
                    insort(self.due, row, key=_by_due)
                insort(lane, row, key=_length)  # behind its equals, for it came last
        else:  # sorting is quick where most is in order
            self.due += job.rows
            if not is_last:
                self.due.sort(key=_by_due)
            lane += job.rows
            lane.sort(key=by_length)
        for row in job.rows:
            self.tokens += row.length
            self.cost_s += row.cost_s
            self.batches += row.share

    def take(self, lane: Hashable, start: int, end: int) -> list[Row]:
        """Take the rows of a lane from the ``start``-th shortest to before the ``end``-th."""
        rows = self.lanes[lane]
        taken = rows[start:end]
        del rows[start:end]
        if not rows:
            del self.lanes[lane]
        for row in taken:
            self._leave(row, bisect_left(self.due, _by_due(row), key=_by_due))
        return taken

    def forget(self, row: Row) -> bool:
        """Take a row out, wherever it stands; ``False`` where it is not here."""
        at = bisect_left(self.due, _by_due(row), key=_by_due)
        if at == len(self.due) or self.due[at] is not row:
            return False
        self._leave(row, at)
        lane = self.lanes[row.job.lane]
        del lane[bisect_left(lane, by_length(row), key=by_length)]
        if not lane:
            del self.lanes[row.job.lane]
        return True

    def _leave(self, row: Row, at: int) -> None:
        del self.due[at]
        self.tokens -= row.length
        self.cost_s = self.cost_s - row.cost_s if self.due else 0.0
        self.batches = self.batches - row.share if self.due else 0.0

    def cost_before_s(self, when: float) -> float:
        """Return the forecast of what is due before ``when``, taken as its share of the rows."""
        if not self.due or self.due[-1].job.due <= when:
            return self.cost_s
        return self.cost_s * bisect_left(self.due, (when, 0), key=_by_due) / len(self.due)
