"""Twenty new versions, one after the other, under 64 connections: what a swap does to answers, latency and memory.

python -m benchmarks.swaps [--package models/sentiment-en] [--connections 64] [--swaps 20] [--page docs/reliability.md]
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from app.modelpack.store import latest
from benchmarks.crowd import Replies, Reply, crowd
from benchmarks.overload import Verdict
from benchmarks.report import RELIABILITY, fill, today
from benchmarks.service import Service, running
from benchmarks.texts import texts
from tests.operating import Operator, keys_file, louder

_WAIT_MS = 10_000
"""What a swap costs is to be seen as latency: nobody is refused because of it."""
_BODIES, _TEXTS_A_BODY = 16, 2
_WARM_UP_SWAPS, _WARM_UP_S = 2, 60.0
"""With less, what the first minute of load adds to a new process counts as the swaps'."""
_STEADY_S, _PAUSE_S = 15.0, 1.0
_AFTER_S = 0.5
"""For so long after a swap the version that went is taken apart, and its memory given back."""
_P99_TIMES, _MORE_MEMORY_SHARE = 3.0, 0.1
_SAME_SCORE = 1e-4


@dataclass(slots=True)
class Swaps:
    """What was seen: when each swap was asked for and answered, the answers, and the memory before and after."""

    name: str
    steady_since: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)
    expected: dict[int, list[Any]] = field(default_factory=dict)
    """Each version's scores, text by text, of each body."""
    replies: Replies = field(default_factory=list)
    pss_mb: tuple[float, float] = (0.0, 0.0)

    @property
    def steady(self) -> Replies:
        """The requests that were answered before the first swap."""
        return [reply for reply in self.replies if self.steady_since <= reply.began and reply.ended < self.spans[0][0]]

    @property
    def during(self) -> Replies:
        """The requests that were under way while a version was opened and took its place."""
        return _overlapping(self.replies, self.spans)

    @property
    def after(self) -> Replies:
        """The requests that were under way while the version before was taken apart."""
        return _overlapping(self.replies, [(end, end + _AFTER_S) for _, end in self.spans])

    @property
    def failed(self) -> int:
        """Requests that were not answered with 200."""
        return sum(reply.status != httpx.codes.OK for reply in self.replies)

    @property
    def mixed(self) -> int:
        """Answers with a score that is not that of the version which they name."""
        good = [reply for reply in self.replies if reply.status == httpx.codes.OK]
        return sum(not _same(scores_of(reply.json), self._wanted(reply)) for reply in good)

    def _wanted(self, reply: Reply) -> Any:
        return self.expected.get(reply.json["version"], {reply.asked: None})[reply.asked]


def scores_of(answer: dict[str, Any]) -> list[list[float]]:
    """Return an answer's scores, text by text."""
    return [list(result["scores"].values()) for result in answer["results"]]


def _same(found: list[list[float]], wanted: list[list[float]] | None) -> bool:
    return wanted is not None and bool(np.allclose(found, wanted, rtol=0, atol=_SAME_SCORE))


def _overlapping(replies: Replies, spans: Sequence[tuple[float, float]]) -> Replies:
    return [reply for reply in replies if any(reply.began < end and reply.ended > begin for begin, end in spans)]


def swap(operator: Operator, models: Path, name: str, old: int, new: int) -> None:
    """Let a version that lies in ``models``/.incoming take another's place, in one step."""
    (models / ".incoming" / name / str(new)).rename(models / name / str(new))
    shutil.rmtree(models / name / str(old))
    report = operator.reload()
    wanted = {"loaded": [f"{name}/{new}"], "unloaded": [f"{name}/{old}"], "refused": []}
    if {key: report[key] for key in wanted} != wanted:
        raise RuntimeError(f"the service swapped something else: {report}")


def series(url: str, version: int) -> int:
    """Return how many series of a version the service's metrics have."""
    return sum(f'version="{version}"' in line for line in httpx.get(f"{url}/metrics").text.splitlines())


def settle(url: str, last: int, within_s: float = 20) -> None:
    """Wait until the series of the last version that went are gone, and its memory given back."""
    until = time.monotonic() + within_s
    while series(url, last) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)


def measure(service: Service, operator: Operator, models: Path, connections: int, swaps: int) -> Swaps:
    """Swap under load, first to warm up and then so many times; version 1 is open, the others are incoming."""
    (folder,) = (models / ".incoming").iterdir()
    seen, bodies = Swaps(folder.name), _bodies(folder.name)
    last = 1

    def go_on(times: int, steady_s: float) -> None:
        nonlocal last
        seen.steady_since = time.monotonic()
        time.sleep(steady_s)
        for _ in range(times):
            began = time.monotonic()
            swap(operator, models, seen.name, last, last + 1)
            seen.spans.append((began, time.monotonic()))
            last += 1
            seen.expected[last] = [_asked(operator, body) for body in bodies]
            time.sleep(_PAUSE_S)

    seen.expected[last] = [_asked(operator, body) for body in bodies]
    asyncio.run(crowd(service.url, connections, bodies, lambda _: go_on(_WARM_UP_SWAPS, _WARM_UP_S)))
    settle(service.url, last - 1)
    before = service.pss_mb()
    seen.spans.clear()
    seen.replies = asyncio.run(crowd(service.url, connections, bodies, lambda _: go_on(swaps, _STEADY_S)))
    settle(service.url, last - 1)
    seen.pss_mb = before, service.pss_mb()
    return seen


def _asked(operator: Operator, body: dict[str, Any]) -> list[list[float]]:
    """Return the scores that one more caller gets, who asks again where the others leave no room."""
    while (answer := operator.ask("POST", "/v1/sentiment", body)).status_code == httpx.codes.TOO_MANY_REQUESTS:
        time.sleep(0.1)
    return scores_of(operator.must(answer))


def _bodies(name: str) -> list[dict[str, Any]]:
    found = texts("short", _BODIES * _TEXTS_A_BODY)
    return [{"inputs": found[at::_BODIES], "model": name} for at in range(_BODIES)]


def p99_ms(replies: Replies) -> float:
    """Return the 99th percentile of the latencies."""
    return float(np.quantile([reply.ended - reply.began for reply in replies], 0.99)) * 1000


def judge(seen: Swaps) -> list[Verdict]:
    """Return a verdict a target."""
    steady, during, after = p99_ms(seen.steady), p99_ms(seen.during), p99_ms(seen.after)
    before_mb, after_mb = seen.pss_mb
    return [
        Verdict("no failed answer", f"{seen.failed} of {len(seen.replies):,} failed", not seen.failed),
        Verdict("no mixed answer", f"{seen.mixed} mixed", not seen.mixed),
        Verdict(
            "p99 during a swap <= 3x the steady p99",
            f"p99 {max(during, after):.0f} ms, {steady:.0f} ms when steady, {max(during, after) / steady:.1f}x",
            max(during, after) <= _P99_TIMES * steady,
        ),
        Verdict(
            "memory back to where it was",
            f"{before_mb:.0f} to {after_mb:.0f} MB",
            after_mb - before_mb <= _MORE_MEMORY_SHARE * before_mb,
        ),
    ]


def table(seen: Swaps, verdicts: Sequence[Verdict], connections: int) -> str:
    """Return what goes into the page."""
    load = f"{connections} connections, {_TEXTS_A_BODY} short texts a request, SLUICE_OVERLOAD_WAIT_MS at {_WAIT_MS:,}"
    lines = [
        f"{today()}, {len(seen.spans)} swaps of {seen.name}, {load}; memory is PSS.",
        "",
        "| requests | answered | p50 ms | p99 ms | longest ms |",
        "|---|---|---|---|---|",
    ]
    opening_s = float(np.median([end - begin for begin, end in seen.spans]))
    parts = {
        "before the first swap": seen.steady,
        f"under way while a version opens and takes its place ({opening_s:.2f} s in the median)": seen.during,
        f"under way in the {_AFTER_S:g} s after, while the one before goes": seen.after,
    }
    for what, replies in parts.items():
        latencies = [(reply.ended - reply.began) * 1000 for reply in replies]
        quantiles = " | ".join(f"{value:.1f}" for value in np.quantile(latencies, (0.5, 0.99, 1)))
        lines.append(f"| {what} | {len(replies):,} | {quantiles} |")
    return "\n".join([*lines, "", *(f"- {each}" for each in verdicts)])


def main(
    package: Annotated[Path, typer.Option(help="A sentiment package's folder.")] = Path("models/sentiment-en"),
    connections: Annotated[int, typer.Option(min=1, help="Callers at once.")] = 64,
    swaps: Annotated[int, typer.Option(min=1, help="Swaps in a row.")] = 20,
    page: Annotated[Path, typer.Option(help="Page whose figures are replaced.")] = RELIABILITY,
) -> None:
    """Swap under load, print what came of it and write it into the page; exit 1 where a target is missed."""
    name = package.name
    with tempfile.TemporaryDirectory(prefix="sluice-swaps-") as scratch:
        models = Path(scratch) / "models"
        louder(models, 1, name, latest(package))
        for version in range(2, 2 + _WARM_UP_SWAPS + swaps):
            louder(models, version, name, latest(package), place=models / ".incoming")
        file, secret = keys_file(Path(scratch))
        with running(
            SLUICE_MODELS_DIR=str(models),
            SLUICE_API_KEYS_FILE=str(file),
            SLUICE_ALLOW_ANONYMOUS="1",
            SLUICE_OVERLOAD_WAIT_MS=str(_WAIT_MS),
            SLUICE_LOG_LEVEL="warning",
        ) as service:
            cpu_s = service.cpu_s()
            seen = measure(service, Operator(service, secret), models, connections, swaps)
            typer.echo(f"{service.cpu_s() - cpu_s:.1f} s of CPU, {len(seen.replies):,} requests")
    verdicts = judge(seen)
    typer.echo(table(seen, verdicts, connections))
    fill(page, "swaps", f"{'; '.join(each.found for each in verdicts)} ({today()})")
    fill(page, "swaps-table", table(seen, verdicts, connections))
    if not all(each.met for each in verdicts):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
