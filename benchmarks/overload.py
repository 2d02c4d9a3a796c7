"""Three times the load that can be sustained: what is answered and how late, who is refused how soon, what comes after.

python -m benchmarks.overload [--kind mixed] [--seconds 10] [--write]
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from benchmarks.openloop import Call, Segment
from benchmarks.report import RELIABILITY, fill, today
from benchmarks.service import Service, running

_GOOD, _REFUSED = 200, 429
_SUSTAINED_SHARE, _SUSTAINED_P99_S = 0.995, 0.25
_FIRST_RATE, _MOST_PROBES, _GROWTH, _STEP = 200.0, 12, 1.6, 0.9
_CALM, _BURST = 0.8, 3.0
_GOODPUT, _P99_TIMES, _REFUSED_S, _RECOVERED_S = 0.9, 2.0, 0.005, 1.0
_WINDOW_S, _WINDOW_SHARE = 0.1, 0.95


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

    @property
    def row(self) -> str:
        """A row of the table."""
        return (
            f"| {self.name} | {self.rate:,.0f} | {self.goodput:,.0f} | {self.p50_ms:.1f} | {self.p99_ms:.1f} "
            f"| {self.refused:,} | {self.refused_p50_ms:.1f} | {self.refused_p99_ms:.1f} | {self.other} |"
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


def drive(service: Service, kind: str, segments: list[Segment]) -> list[Call]:
    """Run the open loop in a process of its own and return its calls, times from its start."""
    parts = urlsplit(service.url)
    command = [sys.executable, "-m", "benchmarks.openloop", str(parts.hostname), str(parts.port), kind]
    command += [f"{segment.rate}:{segment.seconds}" for segment in segments]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [Call(*row) for row in json.loads(printed)]


def phase(name: str, segment: Segment, calls: list[Call], begins_s: float) -> Phase:
    """Return what became of one phase's calls; it began so many seconds after the first."""
    good = [call for call in calls if call.status == _GOOD]
    refused = [call for call in calls if call.status == _REFUSED]
    within = sum(call.done <= begins_s + segment.seconds for call in good)
    return Phase(
        name,
        segment.rate,
        segment.seconds,
        within / segment.seconds,
        len(good),
        len(refused),
        len(calls) - len(good) - len(refused),
        *(round(quantile(q, good) * 1000, 2) for q in (0.5, 0.99)),
        *(round(quantile(q, refused) * 1000, 2) for q in (0.5, 0.99)),
    )


def quantile(share: float, calls: list[Call]) -> float:
    """Return a quantile of the calls' latencies from the intended start, in seconds; 0 where there are none."""
    latencies = sorted(call.done - call.intended for call in calls)
    return latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else 0.0


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


def sustainable(service: Service, kind: str, seconds: float) -> float:
    """Return the highest rate found that is answered whole and in time: upwards by much, then downwards by little."""

    def holds(rate: float) -> bool:
        calls = drive(service, kind, [Segment(rate, seconds)])
        good = [call for call in calls if call.status == _GOOD]
        return len(good) >= _SUSTAINED_SHARE * len(calls) and quantile(0.99, good) <= _SUSTAINED_P99_S

    rate = _FIRST_RATE
    for _ in range(_MOST_PROBES):
        if not holds(rate):
            break
        rate *= _GROWTH
    for _ in range(_MOST_PROBES):
        rate *= _STEP
        if holds(rate):
            return rate
    raise SystemExit("no rate was sustained: is the machine busy with something else?")


def measure(service: Service, kind: str, seconds: float, probe_s: float) -> tuple[list[Phase], float]:
    """Return the phases, and the seconds after the burst until all was as before."""
    rate = sustainable(service, kind, probe_s)
    segments = [Segment(rate, seconds), Segment(_CALM * rate, seconds), Segment(_BURST * rate, seconds)]
    segments.append(Segment(_CALM * rate, seconds))
    calls = drive(service, kind, segments)
    phases = []
    for at, (name, segment) in enumerate(zip(("sustained", "80 %", "300 %", "after"), segments, strict=True)):
        phases.append(phase(name, segment, [call for call in calls if call.segment == at], at * seconds))
    after = [call for call in calls if call.segment == len(segments) - 1]
    return phases, recovered_s(after, 3 * seconds, phases[1].p99_ms / 1000)


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
            f"{burst.refused_p99_ms:.1f} ms, median {burst.refused_p50_ms:.1f} ms; {burst.other} got something else",
            burst.refused_p99_ms <= _REFUSED_S * 1000 and not burst.other,
        ),
        Verdict("as before within 1 s", f"{recovery_s:.1f} s", recovery_s <= _RECOVERED_S),
    ]


def table(phases: list[Phase], verdicts: list[Verdict], kind: str) -> str:
    """Return what goes into the page."""
    head = (
        f"{today()}, {kind} texts, a text a request; latency from the intended start.\n\n"
        "| phase | offered/s | goodput/s | p50 ms | p99 ms | 429 | p50 ms | p99 ms | other |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(each.row for each in phases) + "\n\n" + "\n".join(f"- {each}" for each in verdicts)


def main(
    kind: Annotated[str, typer.Option(help="Texts: short, long or mixed.")] = "mixed",
    seconds: Annotated[float, typer.Option(min=1, help="Length of each phase.")] = 10,
    probe_seconds: Annotated[float, typer.Option(min=1, help="Length of each try of a rate.")] = 4,
    *,
    write: Annotated[bool, typer.Option(help="Put the figures into docs/reliability.md.")] = False,
) -> None:
    """Find the sustainable rate, then run it, 80 %, 300 % and 80 % of it without a gap; print JSON and verdicts."""
    with running(SLUICE_LOG_LEVEL="warning") as service:
        drive(service, kind, [Segment(100, 2)])  # warm-up: it learns what batches take
        phases, recovery_s = measure(service, kind, seconds, probe_seconds)
    verdicts = judge(phases, recovery_s)
    figures: dict[str, Any] = {"kind": kind, "phases": [asdict(each) for each in phases], "recovery_s": recovery_s}
    typer.echo(json.dumps(figures))
    for each in verdicts:
        typer.echo(str(each))
    if write:
        fill(RELIABILITY, "overload-table", table(phases, verdicts, kind))
        fill(RELIABILITY, "overload", f"{'; '.join(each.found for each in verdicts[:3])} ({today()})")
        fill(RELIABILITY, "recovery", f"{recovery_s:.1f} s ({today()})")


if __name__ == "__main__":
    typer.run(main)
