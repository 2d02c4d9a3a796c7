"""Three times the load that can be sustained: what is answered and how late, who is refused how soon, what comes after.

python -m benchmarks.overload [--kind mixed] [--seconds 10] [--rounds 3] [--no-write]

The generator has a core of its own and the service the others, so that what is measured is the service and no contest
for cores with those who ask; the sustained rate is that of the same cores. Each figure is the median of its rounds.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from itertools import pairwise
from statistics import median, median_low
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import typer

from benchmarks.openloop import Call, Segment
from benchmarks.report import RELIABILITY, fill, today
from benchmarks.service import Service, on_cores, running

_GOOD, _REFUSED = 200, 429
_SUSTAINED_SHARE, _SUSTAINED_P99_S = 0.995, 0.25
"""What a rate is sustained by: so many of its requests answered, and so soon."""
_FIRST_RATE, _MOST_PROBES, _GROWTH, _STEP = 200.0, 12, 1.6, 0.9
_TRIES, _ENOUGH = 3, 2
"""How many looks a rate gets that may be the sustained one, and how many of them are to hold."""
_CALM, _BURST = 0.8, 3.0
_GOODPUT, _P99_TIMES, _REFUSED_S, _RECOVERED_S = 0.9, 2.0, 0.005, 1.0
_WINDOW_S, _WINDOW_SHARE = 0.1, 0.95
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Phase:
    """What became of the calls of one phase; times from the intended start, in milliseconds."""

    name: str
    rate: float
    seconds: float
    goodput: float
    """Good answers a second that came within the phase."""
    good: int
    refused: int
    other: int
    p50_ms: float
    p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    refused_soon: float
    """The share of refusals that came within what they may take."""
    late_p99_ms: float
    """By which the generator was late."""
    cpu_s: float
    loop_cpu_s: float
    """What the service used, and its event loop of it."""

    @property
    def row(self) -> str:
        """A row of the table."""
        return (
            f"| {self.name} | {self.rate:,.0f} | {self.goodput:,.0f} | {self.p50_ms:.1f} | {self.p99_ms:.1f} "
            f"| {self.refused:,} | {self.refused_p50_ms:.1f} | {self.refused_p99_ms:.1f} | {self.other} "
            f"| {self.cpu_s / self.seconds:.2f} | {self.loop_cpu_s / self.seconds:.2f} |"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target, what was found, and whether it is met."""

    target: str
    found: str
    met: bool

    def __str__(self) -> str:
        """Return the verdict as a line."""
        return f"{'met   ' if self.met else 'MISSED'} {self.target}: {self.found}"


@dataclass(frozen=True, slots=True)
class Driven:
    """What an open loop did: when it began, on ``time.perf_counter``, its CPU seconds, and its calls since."""

    began: float
    cpu_s: float
    calls: list[Call]


class Cores(NamedTuple):
    """Who runs where."""

    generator: set[int]
    service: set[int]


def cores() -> Cores:
    """Give the generator a core and the service the others; where there is a single one they share it."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores({first}, set(others or [first]))


def drive(service: Service, kind: str, segments: list[Segment]) -> Driven:
    """Run the open loop in a process of its own, on this thread's cores."""
    parts = urlsplit(service.url)
    command = [sys.executable, "-m", "benchmarks.openloop", str(parts.hostname), str(parts.port), kind]
    command += [f"{segment.rate}:{segment.seconds}" for segment in segments]
    with tempfile.TemporaryFile("w+") as told:  # a pipe was once read in half
        subprocess.run(command, check=True, stdout=told)
        told.seek(0)
        printed = json.load(told)
    return Driven(printed["began"], printed["cpu_s"], [Call(*row) for row in printed["calls"]])


@dataclass(slots=True)
class Used:
    """What the service has used of the CPU, looked at now and then."""

    times: list[float] = field(default_factory=list)
    seconds: list[tuple[float, float]] = field(default_factory=list)

    def at(self, when: float) -> tuple[float, float]:
        """Return the CPU seconds of the service and of its event loop up to a time on ``time.perf_counter``."""
        return self.seconds[min(bisect(self.times, when), len(self.seconds) - 1)]


@contextmanager
def watched(service: Service) -> Iterator[Used]:
    """Look at what the service uses, meanwhile."""
    used, enough = Used(), threading.Event()

    def look() -> None:
        while not enough.wait(_LOOK_S):
            used.times.append(time.perf_counter())
            used.seconds.append((service.cpu_s(), service.loop_cpu_s()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield used
    finally:
        enough.set()
        looking.join()


def phase(name: str, segment: Segment, calls: list[Call], begins_s: float, cpu: tuple[float, float]) -> Phase:
    """Return what became of one phase's calls; it began so many seconds after the first."""
    good = [call for call in calls if call.status == _GOOD]
    refused = [call for call in calls if call.status == _REFUSED]
    within = sum(call.done <= begins_s + segment.seconds for call in good)
    late = sorted(call.sent - call.intended for call in calls if call.sent)
    return Phase(
        name,
        segment.rate,
        segment.seconds,
        goodput=within / segment.seconds,
        good=len(good),
        refused=len(refused),
        other=len(calls) - len(good) - len(refused),
        p50_ms=round(quantile(0.5, good) * 1000, 2),
        p99_ms=round(quantile(0.99, good) * 1000, 2),
        refused_p50_ms=round(quantile(0.5, refused) * 1000, 2),
        refused_p99_ms=round(quantile(0.99, refused) * 1000, 2),
        refused_soon=within_share(_REFUSED_S, refused),
        late_p99_ms=round(late[int(0.99 * len(late))] * 1000, 2) if late else 0.0,
        cpu_s=cpu[0],
        loop_cpu_s=cpu[1],
    )


def quantile(share: float, calls: list[Call]) -> float:
    """Return a quantile of the calls' latencies from the intended start, in seconds; 0 where there are none."""
    latencies = sorted(call.done - call.intended for call in calls)
    return latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else 0.0


def within_share(seconds: float, calls: list[Call]) -> float:
    """Return the share of calls that were answered so soon after their intended start; 1 where there are none."""
    return sum(call.done - call.intended <= seconds for call in calls) / len(calls) if calls else 1.0


def recovered_s(calls: list[Call], burst_ended_s: float, p99_s: float) -> float:
    """Return how long after the burst things were bad: a window with refusals, or later than twice the calm p99.

    ``calls`` are those that start after the burst, windows a tenth of a second of starts.
    """
    last = 0.0
    for at in range(int(max((call.intended for call in calls), default=burst_ended_s) / _WINDOW_S) + 1):
        begins = at * _WINDOW_S
        own = [call for call in calls if begins <= call.intended < begins + _WINDOW_S]
        fine = [
            call for call in own if call.status == _GOOD and call.done - call.intended <= _P99_TIMES * max(p99_s, 0.005)
        ]
        if own and len(fine) < _WINDOW_SHARE * len(own):
            last = begins + _WINDOW_S - burst_ended_s
    return last


def sustained(calls: list[Call]) -> bool:
    """Tell whether calls were answered whole and in time."""
    good = [call for call in calls if call.status == _GOOD]
    return len(good) >= _SUSTAINED_SHARE * len(calls) and quantile(0.99, good) <= _SUSTAINED_P99_S


def sustainable(service: Service, kind: str, seconds: float, probe_s: float) -> float:
    """Return the highest rate found that is answered whole and in time: upwards by much, then downwards by little.

    Upwards a look of ``probe_s`` will do. What is returned was held twice in three times as long as a phase: just below
    what can be done a queue takes many seconds to grow, and a single look holds, or does not, by chance.
    """

    def holds(rate: float, seconds: float) -> bool:
        return sustained(drive(service, kind, [Segment(rate, seconds)]).calls)

    return highest(partial(holds, seconds=probe_s), partial(holds, seconds=seconds))


def highest(soon: Callable[[float], bool], holds: Callable[[float], bool]) -> float:
    """Return the highest rate that holds in most of its looks, below the first that does not even ``soon``."""
    rate = _FIRST_RATE
    for _ in range(_MOST_PROBES):
        if not soon(rate):
            break
        rate *= _GROWTH
    for _ in range(_MOST_PROBES):
        rate *= _STEP
        if _most(partial(holds, rate)):
            return rate
    raise SystemExit("no rate was sustained: is the machine busy with something else?")


def _most(look: Callable[[], bool]) -> bool:
    """Tell whether enough looks hold, and look no longer than that takes."""
    held = failed = 0
    while held < _ENOUGH and failed <= _TRIES - _ENOUGH:
        if look():
            held += 1
        else:
            failed += 1
    return held == _ENOUGH


def measure(service: Service, kind: str, rate: float, seconds: float) -> tuple[list[Phase], float, float]:
    """Return the phases, the seconds after the burst until all was as before, and the generator's CPU seconds."""
    names = {"sustained": 1.0, "80 %": _CALM, "300 %": _BURST, "after": _CALM}
    segments = [Segment(share * rate, seconds) for share in names.values()]
    with watched(service) as used:
        driven = drive(service, kind, segments)
    borders = [used.at(driven.began + at * seconds) for at in range(len(segments) + 1)]
    cpu = [(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(borders)]
    phases = []
    for at, (name, segment) in enumerate(zip(names, segments, strict=True)):
        own = [call for call in driven.calls if call.segment == at]
        phases.append(phase(name, segment, own, at * seconds, cpu[at]))
    after = [call for call in driven.calls if call.segment == len(segments) - 1]
    return phases, recovered_s(after, 3 * seconds, phases[1].p99_ms / 1000), driven.cpu_s


def middle(rounds: list[list[Phase]]) -> list[Phase]:
    """Return each phase with the median of every figure, of several rounds at the same rate; of other answers, all."""
    return [_middle(same) for same in zip(*rounds, strict=True)]


def _middle(same: tuple[Phase, ...]) -> Phase:
    figures = {each.name: median_low(getattr(one, each.name) for one in same) for each in fields(Phase)}
    return Phase(**{**figures, "other": sum(one.other for one in same)})


def judge(phases: list[Phase], recovery_s: float) -> list[Verdict]:
    """Return a verdict a target."""
    _, calm, burst, _ = phases
    peak = max(each.goodput for each in phases)
    return [
        Verdict(
            "goodput at 3x >= 90 % of the peak",
            f"{burst.goodput:,.0f} of {peak:,.0f} a second, {burst.goodput / peak:.0%}",
            burst.goodput >= _GOODPUT * peak,
        ),
        Verdict(
            "p99 of the accepted at 3x <= 2x of that at 80 %",
            f"{burst.p99_ms:.1f} ms, {calm.p99_ms:.1f} ms at 80 %",
            burst.p99_ms <= _P99_TIMES * calm.p99_ms,
        ),
        Verdict(
            "the rest get 429 within 5 ms (p99)",
            f"{burst.refused_p99_ms:.1f} ms, median {burst.refused_p50_ms:.1f} ms, {burst.refused_soon:.1%} within 5; "
            f"{burst.other} got something else",
            burst.refused_p99_ms <= _REFUSED_S * 1000 and not burst.other,
        ),
        Verdict("as before within 1 s", f"{recovery_s:.1f} s", recovery_s <= _RECOVERED_S),
    ]


def costs(phases: list[Phase]) -> str:
    """Return what a request cost the service at the sustained rate, and its event loop at three times of it."""
    sustained, _, burst, _ = phases
    answers, calls = max(1, sustained.good), max(1, burst.good + burst.refused)
    return (
        f"At the sustained rate a request costs the service {sustained.cpu_s / answers * 1e6:,.0f} us of CPU, "
        f"{sustained.loop_cpu_s / answers * 1e6:,.0f} of them on the event loop; at 3x the event loop spends "
        f"{burst.loop_cpu_s / calls * 1e6:,.0f} us a request, {burst.refused / calls:.0%} of which it refuses."
    )


def where_it_ran(where: Cores, phases: list[Phase], generator_cpu_s: float) -> str:
    """Return who had which cores, and whether the generator kept up."""
    beside = "shares the service's core" if where.generator == where.service else "has a core of its own"
    late = max(each.late_p99_ms for each in phases)
    spent = generator_cpu_s / sum(each.seconds for each in phases)
    return (
        f"The service has {len(where.service)} of the cores; the generator {beside}, used {spent:.0%} of it and was "
        f"late by {late:.1f} ms (p99 of its worst phase)."
    )


def table(phases: list[Phase], verdicts: list[Verdict], kind: str, ran: str) -> str:
    """Return what goes into the page; ``ran`` says where it ran."""
    head = (
        f"{today()}, {kind} texts, a text a request; latency from the intended start. {ran}\n{costs(phases)}\n\n"
        "| phase | offered/s | goodput/s | p50 ms | p99 ms | 429 | p50 ms | p99 ms | other | CPU | event loop |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(each.row for each in phases) + "\n\n" + "\n".join(f"- {each}" for each in verdicts)


def main(
    kind: Annotated[str, typer.Option(help="Texts: short, long or mixed.")] = "mixed",
    seconds: Annotated[float, typer.Option(min=1, help="Length of each phase.")] = 10,
    probe_seconds: Annotated[float, typer.Option(min=1, help="Length of each try of a rate upwards.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of all phases at the rate that was found.")] = 3,
    *,
    write: Annotated[bool, typer.Option(help="Put the figures into docs/reliability.md.")] = True,
) -> None:
    """Find the sustainable rate; run it, 80 %, 300 % and 80 % of it without a gap, in rounds; print the medians."""
    where = cores()
    with ExitStack() as stack:
        with on_cores(where.service):
            service = stack.enter_context(running(SLUICE_LOG_LEVEL="warning"))
        stack.enter_context(on_cores(where.generator))
        drive(service, kind, [Segment(100, 2)])  # warm-up: it learns what batches take
        rate = sustainable(service, kind, seconds, probe_seconds)
        found = [measure(service, kind, rate, seconds) for _ in range(rounds)]
    phases = middle([each for each, _, _ in found])
    recovery_s, generator_cpu_s = (median(each) for each in list(zip(*found, strict=True))[1:])
    verdicts = judge(phases, recovery_s)
    figures: dict[str, Any] = {"kind": kind, "phases": [asdict(each) for each in phases], "recovery_s": recovery_s}
    shown = table(phases, verdicts, kind, f"{rounds} rounds. {where_it_ran(where, phases, generator_cpu_s)}")
    typer.echo(f"{json.dumps(figures)}\n\n{shown}")
    if write:
        fill(RELIABILITY, "overload-table", shown)
        fill(RELIABILITY, "overload", f"{'; '.join(each.found for each in verdicts[:3])} ({today()})")
        fill(RELIABILITY, "recovery", f"{recovery_s:.1f} s ({today()})")


if __name__ == "__main__":
    typer.run(main)
