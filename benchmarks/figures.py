"""The figures that the service is held to, each beside its target, from one run.

    python -m benchmarks.figures [--seconds 3] [--rounds 5] [--only memory|online|posts|threads|bulk]

Ratios are medians of rounds in which both sides take their turn. What is held against the bare loop, or against one
thread, comes between two turns of that, each half of ``--seconds`` long (``benchmarks.turns``). A second of CPU time is
the steadier measure where others use the cores too: whoever has more threads gets more of what they leave. Writes its
part of docs/performance.md and of the JSON beside it or, with ``--only``, nothing. Needs wrk and curl.
"""

import asyncio
import json
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from app.metrics import Metrics
from app.modelpack.store import latest, open_package
from app.runtime.classifier import Classifier
from app.runtime.providers import choose
from app.scheduling.batcher import Batcher
from app.scheduling.observer import BatchObserver
from app.scheduling.policy import Budget
from app.settings import Settings
from benchmarks.ceiling import on_all_cores
from benchmarks.figure import Figure, table
from benchmarks.load import drive
from benchmarks.posts import KINDS, above_bare_ms, share_of_bare, title
from benchmarks.report import PERFORMANCE, Section, publish, run_of
from benchmarks.service import Service, only, running
from benchmarks.texts import CHINESE, texts
from benchmarks.turns import Turn, shares, timed

MARK = "figures"
_EN, _ZH = Path("models/sentiment-en"), Path("models/sentiment-zh")
_WINDOW = 512
_LONG_DOCUMENT_WORDS = 10_000
_ROWS, _ONE_ROW = "in.jsonl", "one.jsonl"


def padding_share(service: Service, seconds: int) -> Figure:
    """Return the share of computed cells that were padding, with mixed texts over 64 connections."""
    before = _cells(service)
    drive(service, "mixed", texts("mixed"), connections=64, seconds=seconds)
    real, padding = (now - then for now, then in zip(_cells(service), before, strict=True))
    return Figure(
        "padded cells, mixed texts, 64 connections", padding / max(1.0, real + padding), "share", 0.10, at_most=True
    )


def memory(seconds: int) -> Figure:
    """Return the PSS of a service with both sentiment packages alone, under load."""
    with only(_EN, _ZH) as folder, running(SLUICE_MODELS_DIR=str(folder)) as service:
        drive(service, "mixed", texts("mixed"), connections=64, seconds=seconds)
        drive(service, "short", CHINESE * 100, connections=64, seconds=seconds)
        return Figure("PSS, sentiment-en and -zh, after load", service.pss_mb(), "MB", 250, at_most=True)


def beside_a_document(service: Service, seconds: int) -> Figure:
    """Return by how much one 10,000-word document after the other raises the p99 of short texts over 8 connections."""
    alone = drive(service, "short", texts("short"), connections=8, seconds=seconds)
    document = " ".join(" ".join(texts("long", 100)).split()[:_LONG_DOCUMENT_WORDS])
    stop = threading.Event()
    thread = threading.Thread(target=_post_until, args=(service, document, stop))
    thread.start()
    try:
        beside = drive(service, "short", texts("short"), connections=8, seconds=seconds)
    finally:
        stop.set()
        thread.join()
    name = f"p99 of short texts beside {_LONG_DOCUMENT_WORDS:,}-word documents"
    return Figure(name, beside.p99_ms / alone.p99_ms, "x", 2.0, at_most=True)


def threads(seconds: float, rounds: int) -> list[Figure]:
    """Return how much two inference threads do against one, where the queue is never empty."""
    model = Classifier.open(open_package(latest(_EN)), choose("cpu"))

    def of(count: int) -> Turn:
        return timed(lambda: asyncio.run(_batcher_rate(model, count, seconds / 2)))

    (share,) = shares(partial(of, 1), partial(of, 2), rounds=rounds)
    return [Figure("two inference threads against one", share.per_s, "x", 1.8)]


def posts(seconds: int, rounds: int) -> list[Figure]:
    """Return how a text alone, and many texts a POST, compare with the bare loop."""
    with running() as service:
        above_ms = above_bare_ms(service, _EN, texts("short"), seconds, rounds)
        found = {kind: share_of_bare(service, _EN, kind, texts(kind), seconds=seconds, rounds=rounds) for kind in KINDS}
    above = Figure("short texts, 1 connection: p50 above the bare loop", above_ms, "ms", 0.4, at_most=True)
    return [above, *(Figure(title(kind, _EN.name), each.per_s, "x", 0.9) for kind, each in found.items())]


def bulk(seconds: float, rounds: int) -> list[Figure]:
    """Return what a bulk stream does, and ``sluice predict`` over a file, as shares of what the bare loop does."""
    lines = texts("short")
    bare = partial(timed, on_all_cores(_EN, lines, seconds / 2))
    with tempfile.TemporaryDirectory(prefix="sluice-figures-") as name, running() as service:
        folder = Path(name)
        count = int(bare().per_s * seconds)
        for rows, file in ((count, _ROWS), (1, _ONE_ROW)):
            asked = (json.dumps({"text": lines[at % len(lines)]}) + "\n" for at in range(rows))
            (folder / file).write_text("".join(asked), "utf-8")
        ours = partial(_stream, service, folder, count), partial(_file, folder, count)
        stream, predict = shares(bare, *ours, rounds=rounds)
    return [*_beside_bare("bulk stream", stream), *_beside_bare("sluice predict FILE", predict)]


def shown(section: Section) -> str:
    """Return a run's figures as Markdown."""
    head = f"{run_of(section)}, {section['seconds']} s a measurement, {section['rounds']} rounds."
    return f"{head}\n\n{table(map(Figure.of, section['figures']))}"


def online(seconds: int, rounds: int) -> list[Figure]:
    """Return the figures of one service under requests."""
    with running() as service:
        drive(service, "short", texts("short"), connections=8, seconds=1)  # warm-up
        return [
            padding_share(service, seconds),
            _middle([beside_a_document(service, seconds) for _ in range(rounds)]),
        ]


_PARTS: dict[str, Callable[[int, int], list[Figure]]] = {
    "memory": lambda seconds, rounds: [_middle([memory(seconds) for _ in range(rounds)])],
    "online": online,
    "posts": posts,
    "threads": threads,
    "bulk": bulk,
}


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each ratio.")] = 5,
    page: Annotated[Path, typer.Option(help="Page of the table, beside its JSON.")] = PERFORMANCE,
    only: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(_PARTS)}: only these, and nothing written.")
    ] = None,
) -> None:
    """Measure every figure and write the page and the JSON."""
    if only is not None:
        if only not in _PARTS:
            raise typer.BadParameter(f"--only is {only!r}; expected one of {', '.join(_PARTS)}")
        typer.echo(table(_PARTS[only](seconds, rounds)))
        return
    figures = [figure for part in _PARTS.values() for figure in part(seconds, rounds)]
    found = {"seconds": seconds, "rounds": rounds, "figures": [asdict(one) for one in figures]}
    typer.echo(publish(page, MARK, found, shown))


def _middle(rounds: list[Figure]) -> Figure:
    first = rounds[0]
    value = median(one.value for one in rounds if one.value is not None)
    return Figure(first.name, value, first.unit, first.target, first.at_most)


def _cells(service: Service) -> tuple[float, float]:
    real, padding = (service.metric(rf'sluice_cells_total\{{.*kind="{kind}".*\}}') for kind in ("real", "padding"))
    return real, padding


def _post_until(service: Service, document: str, stop: threading.Event) -> None:
    body = json.dumps({"inputs": document}).encode()
    while not stop.is_set():
        with urllib.request.urlopen(f"{service.url}/v1/sentiment", body) as answer:  # noqa: S310 - our own address
            answer.read()


async def _batcher_rate(model: Classifier, threads: int, seconds: float) -> float:
    settings = Settings()
    budget = Budget(settings.max_batch_cells, settings.max_batch_rows, settings.max_padding_share)
    batcher = Batcher(threads=threads, budget=budget, max_queue_tokens=1 << 30, observer=BatchObserver(Metrics("1")))
    rows = [tokens.ids for tokens in model.tokenizer.encode(texts("mixed"))]
    done = 0

    async def feed(at: int) -> None:
        nonlocal done
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            await batcher.submit(model.plain, rows[at : at + _WINDOW], 60, priority="batch")
            done += _WINDOW
            at = (at + _WINDOW) % (len(rows) - _WINDOW)

    batcher.start()
    started = time.perf_counter()
    await asyncio.gather(*(feed(at * 100) for at in range(3)))
    spent = time.perf_counter() - started
    await asyncio.to_thread(batcher.close)
    return done / spent


def _stream(service: Service, folder: Path, count: int) -> Turn:
    command = f"curl -s -X POST -T {_ROWS} {service.url}/v1/sentiment/bulk -o answers.jsonl"
    started, cpu_s = time.perf_counter(), service.cpu_s()
    subprocess.run(command.split(), check=True, cwd=folder)
    return Turn(count / (time.perf_counter() - started), count / (service.cpu_s() - cpu_s))


def _file(folder: Path, count: int) -> Turn:
    """Return what the command did but its start, whose CPU time is that of a run over one row."""
    _, start_cpu_s = _predict(folder, _ONE_ROW)
    per_s, cpu_s = _predict(folder, _ROWS)
    return Turn(per_s, count / (cpu_s - start_cpu_s))


def _predict(folder: Path, file: str) -> tuple[float, float]:
    """Return the rate that the command tells, which is without its start, and the CPU seconds of all that it did."""
    command = [sys.executable, "-m", "app", "predict", str(folder / file), "-o", str(folder / "out.jsonl")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run([*command, "--overwrite"], check=True, capture_output=True, text=True).stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"([\d,]+) rows/s\s*$", said)
    if found is None:
        raise SystemExit(f"sluice predict said: {said}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(found.group(1).replace(",", "")), cpu_s


def _beside_bare(who: str, share: Turn) -> list[Figure]:
    return [
        Figure(f"{who} / bare loop", share.per_s, "x", 0.9),
        Figure(f"{who} / bare loop, a second of CPU time", share.per_cpu_s, "x", 0.9),
    ]


if __name__ == "__main__":
    typer.run(main)
