"""`make profile`: where a request's time goes, in microseconds of CPU, in the real process under real load.

python -m benchmarks.profile [--seconds 5] [--before CHECKOUT] [--out FILE] [--page docs/performance.md]

wrk asks the service, which runs with a stopwatch at the border of each stage (``benchmarks.stopwatch``). What is of no
stage is the event loop's with its sockets, or the other threads', so that the parts add up to what the request cost.
"""

import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from tokenizers import Tokenizer

from app.modelpack.store import latest
from benchmarks import report
from benchmarks.load import drive
from benchmarks.service import Service, running
from benchmarks.stopwatch import LOOP, OTHER, STAGES
from benchmarks.texts import texts

_CONNECTIONS = (1, 8, 64)
_READ_S = 10
_ROUNDS = 3
_CUT = "normalize and tokenize"
MARK = "profile"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a request cost, in microseconds of CPU by stage, and how it was asked for."""

    service: str
    connections: int
    requests_s: float
    p50_ms: float
    stages_us: dict[str, float]

    @property
    def total_us(self) -> float:
        """The sum of its stages."""
        return sum(self.stages_us.values())


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each of the measurements.")] = 5,
    before: Annotated[Path | None, typer.Option(help="Another checkout, to be profiled in turn.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for the figures as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="Page whose table is replaced, beside its JSON.")] = None,
    model: Annotated[Path, typer.Option(help="Package whose tokenizer is taken apart.")] = Path("models/sentiment-en"),
) -> None:
    """Profile short texts at 1, 8 and 64 connections and print a table."""
    asked = texts("short")
    share = normalize_share(model, asked)
    trees = {"before": before, "now": None} if before else {"now": None}
    profiles = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = {}
        for name, tree in trees.items():
            watch = ("benchmarks.stopwatch", str(folder / name))
            services[name] = stack.enter_context(running(*watch, tree=tree, SLUICE_WORKERS="1"))
            drive(services[name], "short", asked, connections=8, seconds=1)  # warm-up
        for connections in _CONNECTIONS:
            for name, service in services.items():
                of = {"connections": connections, "seconds": seconds}
                profiles.append(measure(service, folder / name, asked, normalize=share, **of))
    table = table_of(profiles)
    typer.echo(table)
    if out is not None:
        out.write_text(json.dumps([asdict(profile) for profile in profiles], indent=1) + "\n", "utf-8")
    if page is not None:
        report.publish(page, MARK, {"seconds": seconds, "profiles": [asdict(one) for one in profiles]}, shown)


def shown(section: report.Section) -> str:
    """Return a run's profiles as Markdown."""
    profiles = [Profile(**one) for one in section["profiles"]]
    return f"{report.run_of(section)}, short texts, {section['seconds']} s each.\n\n{table_of(profiles)}"


def measure(
    service: Service, file: Path, asked: list[str], *, connections: int, seconds: int, normalize: float
) -> Profile:
    """Return the profile of a service under so many connections; ``normalize``: what that is of a text's cutting."""
    _read(service, file)
    load = drive(service, "short", asked, connections=connections, seconds=seconds)
    requests = load.requests_s * seconds
    micro = {stage: spent_ns / 1e3 / requests for stage, spent_ns in _read(service, file).items()}
    cut = micro.pop(_CUT, 0.0)
    micro |= {"normalize": cut * normalize, "tokenize": cut * (1 - normalize)}
    return Profile(file.name, connections, load.requests_s, load.p50_ms, micro)


def _read(service: Service, file: Path) -> dict[str, float]:
    """Return what the stopwatch says since it was last asked."""
    file.unlink(missing_ok=True)
    os.kill(service.pid, signal.SIGUSR1)
    until = time.monotonic() + _READ_S
    while not file.exists():
        if time.monotonic() > until:
            raise SystemExit("the service tells no times")
        time.sleep(0.01)
    found: dict[str, float] = json.loads(file.read_text("utf-8"))
    return found


def normalize_share(model: Path, asked: list[str]) -> float:
    """Return which part of cutting a text is its normalization, timed apart, since both are one call of a library."""
    tokenizer = Tokenizer.from_file(str(latest(model) / "tokenizer.json"))
    normalizer = tokenizer.normalizer
    if normalizer is None:
        return 0.0
    cut = partial(tokenizer.encode_batch_fast, add_special_tokens=False)
    whole = _least_s(lambda text: cut([text]), asked)
    return min(1.0, _least_s(normalizer.normalize_str, asked) / whole)


def _least_s(work: Callable[[str], object], asked: list[str]) -> float:
    """Return the CPU seconds of the work on all texts, the least of several rounds."""
    found = []
    for _ in range(_ROUNDS):
        started = time.thread_time()
        for text in asked:
            work(text)
        found.append(time.thread_time() - started)
    return min(found)


def table_of(profiles: list[Profile]) -> str:
    """Return the stages as rows, the largest of the last column first, and the profiles as columns."""
    total: Counter[str] = Counter(profiles[-1].stages_us)
    known = [*STAGES, "normalize", "tokenize", LOOP, OTHER]
    used = [stage for stage in known if any(profile.stages_us.get(stage, 0.0) >= 0.05 for profile in profiles)]
    heads = [f"{one.connections} conn." + (f", {one.service}" if one.service != "now" else "") for one in profiles]
    lines = ["| us of CPU a request | " + " | ".join(heads) + " |", "|---" * (len(profiles) + 1) + "|"]
    lines += [
        _row(stage, [f"{one.stages_us.get(stage, 0.0):.1f}" for one in profiles])
        for stage in sorted(used, key=lambda stage: -total[stage])
    ]
    lines += [
        _row("**all**", [f"**{one.total_us:.0f}**" for one in profiles]),
        _row("requests/s", [f"{one.requests_s:,.0f}" for one in profiles]),
        _row("p50 ms", [f"{one.p50_ms:.2f}" for one in profiles]),
    ]
    return "\n".join(lines)


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    typer.run(main)
