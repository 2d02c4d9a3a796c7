"""The figures that the service is held to, each beside its target, from one run.

    python -m benchmarks.figures [--seconds 4] [--rounds 3] [--only memory|online|threads|bulk]

Ratios are medians of rounds in which both sides take their turn. Writes its part of docs/performance.md and of the JSON
beside it or, with ``--only``, nothing. Needs wrk and curl.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
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
from benchmarks.ceiling import all_cores_texts_s
from benchmarks.figure import Figure, table
from benchmarks.load import drive
from benchmarks.report import PERFORMANCE, Section, publish, run_of
from benchmarks.service import Service, running
from benchmarks.texts import CHINESE, texts

MARK = "figures"
_EN, _ZH = Path("models/sentiment-en"), Path("models/sentiment-zh")
_WINDOW = 512
_LONG_DOCUMENT_WORDS = 10_000


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
    with _only(_EN, _ZH) as folder, running(SLUICE_MODELS_DIR=str(folder)) as service:
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


def thread_ratio(seconds: float) -> Figure:
    """Return how much two inference threads do against one, where the queue is never empty."""
    model = Classifier.open(open_package(latest(_EN)), choose("cpu"))
    rate = {threads: asyncio.run(_batcher_rate(model, threads, seconds)) for threads in (1, 2)}
    return Figure("two inference threads against one", rate[2] / rate[1], "x", 1.8)


def bulk_ratios(seconds: float) -> Iterator[Figure]:
    """Yield the rates of a bulk stream, and of ``sluice predict`` over a file, as shares of the bare loop's."""
    lines = texts("short")
    bare = all_cores_texts_s(_EN, lines, seconds)
    with tempfile.TemporaryDirectory(prefix="sluice-figures-") as name, running() as service:
        folder = Path(name)
        count = int(bare * seconds)
        with (folder / "in.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": lines[at % len(lines)]}) + "\n" for at in range(count))
        started = time.perf_counter()
        command = f"curl -s -X POST -T in.jsonl {service.url}/v1/sentiment/bulk -o answers.jsonl"
        subprocess.run(command.split(), check=True, cwd=folder)
        yield Figure("bulk stream / bare loop", count / (time.perf_counter() - started) / bare, "x", 0.9)
        file_rate = _predict_rate(folder)
    yield Figure("sluice predict FILE / bare loop", file_rate / bare, "x", 0.9)


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


def bulk(seconds: int, rounds: int) -> list[Figure]:
    """Return the figures of streams and files."""
    by_round = [list(bulk_ratios(seconds)) for _ in range(rounds)]
    return [_middle(list(ones)) for ones in zip(*by_round, strict=True)]


_PARTS: dict[str, Callable[[int, int], list[Figure]]] = {
    "memory": lambda seconds, _: [memory(seconds)],
    "online": online,
    "threads": lambda seconds, rounds: [_middle([thread_ratio(seconds) for _ in range(rounds)])],
    "bulk": bulk,
}


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each ratio.")] = 3,
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


@contextmanager
def _only(*packages: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sluice-figures-") as name:
        for package in packages:
            shutil.copytree(package, Path(name) / package.name)
        yield Path(name)


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


def _predict_rate(folder: Path) -> float:
    command = [sys.executable, "-m", "app", "predict", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = re.search(r"([\d,]+) rows/s\s*$", said)
    if found is None:
        raise SystemExit(f"sluice predict said: {said}")
    return float(found.group(1).replace(",", ""))


if __name__ == "__main__":
    typer.run(main)
