"""The queue under a clock that is not the machine's: who runs with whom, who waits how long, what padding costs.

The real queue, policy and cost model; only the runs are made up, by what batches of the bundled English package take
on a core. So the figures are the same everywhere, and every wait is known to the end.

python -m benchmarks.scheduling [--connections 64] [--rows 20000] [--overload]
"""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, NamedTuple

import typer

from app.errors import WaitTooLong
from app.runtime.widths import rung
from app.scheduling.admission import Admission, Patience
from app.scheduling.estimate import RunCosts
from app.scheduling.job import Job, Row
from app.scheduling.policy import Budget, Priority, due
from app.scheduling.queue import Waiting

BUDGET = Budget(max_cells=1024, max_rows=32, max_padding_share=0.1)
"""The settings' defaults."""

_MEDIAN_WORDS, _SIGMA, _MAX_WORDS = 25, 1.1, 1000


def takes_s(rows: int, width: int) -> float:
    """Return what a batch takes: 117 us, 2.9 us a step and 8.8 us a cell, as measured on sentiment-en/3 in int8."""
    return 117e-6 + width * 2.9e-6 + rows * width * 8.8e-6


@dataclass(frozen=True)
class Lane:
    """What runs together."""

    name: str = "a"


@dataclass(frozen=True, slots=True)
class Text:
    """What is asked: when, how long it is, by when, in which class and lane."""

    arrives: float
    tokens: int
    deadline: float = float("inf")
    priority: Priority = "interactive"
    lane: Lane = Lane()


@dataclass(slots=True, eq=False)
class Ran:
    """What became of a text: times, and whether its deadline passed before its turn."""

    text: Text
    row: Row
    started: float = -1.0
    ended: float = -1.0
    expired: bool = False

    @property
    def waited_s(self) -> float:
        """From arrival to the start of its batch."""
        return self.started - self.text.arrives


@dataclass(frozen=True, slots=True)
class Batch:
    """A run: when, of which texts."""

    started: float
    ended: float
    members: tuple[Ran, ...]
    waited: int = 0
    """Rows that waited when it was taken, its own among them."""

    @property
    def cells(self) -> int:
        """Cells computed, padding counted."""
        return len(self.members) * rung(max(each.text.tokens for each in self.members))


class Stall(NamedTuple):
    """The whole process stands still, from when and for how long."""

    at: float
    seconds: float


class _Tokens:
    """Ids of which only the number matters."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __len__(self) -> int:
        return self._number


@dataclass(slots=True)
class World:
    """Threads, a queue, and a clock that jumps from event to event."""

    threads: int = 2
    budget: Budget = BUDGET
    cost: Callable[[int, int], float] = takes_s
    patience: Patience | None = None
    """What bounds the wait of those who join the queue; default nothing."""
    retry_s: Callable[[], float] | None = None
    """After how long a refused caller asks again; default never."""
    stalls: Sequence[Stall] = ()
    """When nothing moves at all, in order: what runs takes as much longer, what comes is read when it is over."""
    ran: list[Ran] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    refused: int = 0

    def open_loop(self, texts: Iterable[Text]) -> None:
        """Run texts that arrive when they say."""
        self._run([(text.arrives, text) for text in texts], lambda _now: None)

    def closed_loop(self, connections: int, tokens: Iterator[int], texts: int) -> None:
        """Run so many texts from callers who each ask again when they are answered."""
        left = [texts - connections]

        def again(now: float) -> Text | None:
            left[0] -= 1
            return Text(now, next(tokens)) if left[0] >= 0 else None

        self._run([(0.0, Text(0.0, next(tokens))) for _ in range(connections)], again)

    def _run(self, first: list[tuple[float, Text]], again: Callable[[float], Text | None]) -> None:
        costs = RunCosts()
        waiting = Waiting(self.budget, 1 << 40, self.threads, costs)
        of_row: dict[Row, Ran] = {}
        gone: list[Text] = []

        def shed(keep_s: float) -> int:
            rows = [row for job in waiting.shed(keep_s) for row in job.rows]
            gone.extend(of_row.pop(row).text for row in rows)
            return len(rows)

        admission = Admission(self.threads, self.patience or Patience(), shed)
        events: list[tuple[float, int, Text | Batch]] = [(at, order, text) for order, (at, text) in enumerate(first)]
        heapq.heapify(events)
        orders, idle = count(len(events)), self.threads
        while events:
            now = events[0][0]
            while events and events[0][0] <= now:
                event = heapq.heappop(events)[2]
                coming: list[tuple[float, Text]] = []
                if isinstance(event, Text):
                    stall = self._stall_at(now)
                    if stall is not None:
                        heapq.heappush(events, (stall.at + stall.seconds, next(orders), event))
                        continue
                    if not self._arrive(waiting, admission, of_row, event, now):
                        gone.append(event)
                    coming = [*self._asked_again(gone, now)]
                    gone.clear()
                else:
                    idle += 1
                    self._end(waiting, admission, costs, event)
                    coming = [(now, text) for _ in event.members if (text := again(now)) is not None]
                for at, text in coming:
                    heapq.heappush(events, (at, next(orders), text))
            while idle and (batch := self._take(waiting, of_row, now)) is not None:
                idle -= 1
                heapq.heappush(events, (batch.ended, next(orders), batch))
            if idle and waiting.rows and not events:  # a thread was kept free; time passes
                heapq.heappush(events, (now + 0.05, next(orders), Batch(now, now, ())))
                idle -= 1
        self.ran += of_row.values()

    def _asked_again(self, refused: list[Text], now: float) -> Iterator[tuple[float, Text]]:
        """Count the refused, and yield when each asks again, if ever."""
        self.refused += len(refused)
        if self.retry_s is not None:
            for text in refused:
                yield now + self.retry_s(), text

    def _arrive(self, waiting: Waiting, admission: Admission, of_row: dict[Row, Ran], text: Text, now: float) -> bool:
        job = Job(text.lane, text.deadline, priority=text.priority)
        job.rows = [Row(job, 0, _Tokens(text.tokens))]
        before_s = waiting.cost_before_s(job.priority, due(now, job.deadline))
        wait_s = admission.wait_s(before_s, busy=waiting.busy)
        try:
            if not waiting.is_short:
                admission.refuse_wait(wait_s, now, now - text.arrives)
        except WaitTooLong:
            return False
        cost_s = waiting.price(job)
        of_row[job.rows[0]] = Ran(text, job.rows[0])
        waiting.put(job, now)
        admission.accept(cost_s, wait_s, now, lag_s=now - text.arrives)
        return True

    def _take(self, waiting: Waiting, of_row: dict[Row, Ran], now: float) -> Batch | None:
        while True:
            waited = waiting.rows
            rows, expired = waiting.take(now)
            for row in expired:
                of_row[row].expired = True
            if rows:
                break
            if not expired:
                return None
        ended = self._moved(now, self.cost(len(rows), rung(max(row.length for row in rows))))
        members = tuple(of_row[row] for row in rows)
        for member in members:
            if member.started >= 0:
                raise RuntimeError("This is a bug: a text ran twice")
            member.started, member.ended = now, ended
        batch = Batch(now, ended, members, waited)
        self.batches.append(batch)
        return batch

    def _stall_at(self, now: float) -> Stall | None:
        return next((stall for stall in self.stalls if stall.at <= now < stall.at + stall.seconds), None)

    def _moved(self, now: float, seconds: float) -> float:
        """Return when so many seconds of work are done that begin now."""
        ended = now + seconds
        for stall in self.stalls:
            if now <= stall.at + stall.seconds and stall.at < ended:
                ended += stall.at + stall.seconds - max(now, stall.at)
        return ended

    def _end(self, waiting: Waiting, admission: Admission, costs: RunCosts, batch: Batch) -> None:
        if batch.members:
            rows = [member.row for member in batch.members]
            width = rung(max(row.length for row in rows))
            costs.observe(rows[0].job.lane, len(rows), width, batch.ended - batch.started)
            shares_s = sum(row.cost_s for row in rows)
            admission.ran(batch.ended - batch.started, shares_s, crowded=not waiting.is_short)
            admission.answered(sum(row.job.priority == "interactive" for row in rows), batch.ended)
            waiting.ran(rows)

    @property
    def padding_share(self) -> float:
        """Share of the cells computed that was padding."""
        cells = sum(batch.cells for batch in self.batches)
        return 1 - sum(member.text.tokens for batch in self.batches for member in batch.members) / cells


def mixed(seed: int = 20261121) -> Iterator[int]:
    """Yield lengths without end: log-normal, median 25, sigma 1.1, 1 to 1,000."""
    numbers = random.Random(seed)  # noqa: S311 - a reproducible load, no secret
    while True:
        yield min(_MAX_WORDS, max(1, round(numbers.lognormvariate(0, _SIGMA) * _MEDIAN_WORDS)))


def mixed_arrivals(rate: float, starts: float, seconds: float, tokens: Iterator[int], seed: int) -> Iterator[Text]:
    """Yield texts of such lengths that arrive as a Poisson process."""
    numbers = random.Random(seed)  # noqa: S311 - a reproducible load, no secret
    at = starts + numbers.expovariate(rate)
    while at < starts + seconds:
        yield Text(at, next(tokens))
        at += numbers.expovariate(rate)


def overloaded(threads: int, rate: float, bound_s: float, seconds: float) -> World:
    """Run 80 % of a rate, and then three times the rate, each for so long, behind such a narrow bound."""
    world, tokens = World(threads, patience=Patience(2.0, bound_s)), mixed(3)
    calm = mixed_arrivals(0.8 * rate, 0.0, seconds, tokens, seed=1)
    world.open_loop([*calm, *mixed_arrivals(3 * rate, seconds, seconds, tokens, seed=2)])
    return world


def bounds_table(threads: int, rows: int, seconds: float = 10.0) -> Iterator[str]:
    """Yield what each narrow bound comes to at three times of what can be done."""
    world = World(threads)
    world.closed_loop(256, mixed(), rows)
    most = rows / max(each.ended for each in world.ran)
    yield "| bound ms | goodput of the peak | rows a batch | p99 ms | p99 ms at 80 % |\n|---|---|---|---|---|"
    for bound_ms in (10, 20, 30, 40, 50, 100, 200):
        world = overloaded(threads, most, bound_ms / 1000, seconds)
        good = sum(seconds <= each.ended < 2 * seconds for each in world.ran) / seconds
        sizes = [len(batch.members) for batch in world.batches if batch.started >= seconds]
        calm, burst = (
            sorted(each.ended - each.text.arrives for each in world.ran if (each.text.arrives >= seconds) == late)
            for late in (False, True)
        )
        yield (
            f"| {bound_ms} | {good / most:.0%} | {sum(sizes) / len(sizes):.1f} "
            f"| {burst[int(len(burst) * 0.99)] * 1000:.0f} | {calm[int(len(calm) * 0.99)] * 1000:.0f} |"
        )


def main(
    connections: Annotated[int, typer.Option(min=1, help="Callers who each wait for their answer.")] = 64,
    rows: Annotated[int, typer.Option(min=100, help="Texts in all.")] = 20_000,
    threads: Annotated[int, typer.Option(min=1, help="Inference threads.")] = 2,
    *,
    overload: Annotated[bool, typer.Option(help="Print what each SLUICE_OVERLOAD_WAIT_MS comes to instead.")] = False,
) -> None:
    """Print texts a second, rows a batch, padding and waits on mixed lengths, for several shares of padding allowed."""
    if overload:
        for line in bounds_table(threads, rows):
            typer.echo(line)
        return
    typer.echo("| padding allowed | texts/s | rows a batch | padding | wait p50 ms | p99 ms | most ms |")
    typer.echo("|---|---|---|---|---|---|---|")
    for share in (0.05, 0.1, 0.15, 0.25, 0.5):
        world = World(threads, Budget(BUDGET.max_cells, BUDGET.max_rows, share))
        world.closed_loop(connections, mixed(), rows)
        waits = sorted(each.waited_s * 1000 for each in world.ran)
        ended = max(each.ended for each in world.ran)
        typer.echo(
            f"| {share:.0%} | {len(waits) / ended:,.0f} | {len(waits) / len(world.batches):.1f} "
            f"| {world.padding_share:.1%} | {waits[len(waits) // 2]:.1f} | {waits[int(len(waits) * 0.99)]:.1f} "
            f"| {waits[-1]:.1f} |"
        )


if __name__ == "__main__":
    typer.run(main)
