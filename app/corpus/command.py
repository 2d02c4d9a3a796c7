"""``sluice predict FILE -o FILE``: the run, its progress bar, and how it ends."""

import asyncio
import gc
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.bulk import Bulk
from app.corpus.block import Source
from app.corpus.formats import form_of, sink, source
from app.corpus.journal import Journal
from app.corpus.run import Job, columns_of, score
from app.errors import StartupError
from app.exchange import Query
from app.main import Parts
from app.modelpack.manifest import Classifying
from app.service import Service
from app.settings import Settings

_ROWS_UNDER_WAY = 2048
_SWITCH_S = 0.0005
"""How long an inference thread waits for the interpreter's lock, 5 ms by default; a batch of short texts takes 8."""
_COLLECT_AFTER = 100_000
"""New objects before Python looks for circles among them. Rows have none, and walking them was a tenth of its work."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    file: Path
    out: Path
    task: Classifying
    model: str | None
    column: str
    prefix: str
    overwrite: bool
    restart: bool


def predict_file(settings: Settings, wanted: Wanted) -> int:
    """Score a file; return how many rows are bad. ``StartupError`` and ``RequestError`` leave what is done in place."""
    form_of(wanted.out)
    if wanted.out.exists() and not wanted.overwrite:
        raise StartupError(f"{wanted.out} is there already; expected another name, or --overwrite")
    if wanted.out.resolve() == wanted.file.resolve():
        raise StartupError(f"{wanted.out} is the input; expected another name")
    opened = source(wanted.file, wanted.column)
    try:
        with _for_throughput():
            return asyncio.run(_predict(settings, wanted, opened))
    finally:
        opened.close()


@contextmanager
def _for_throughput() -> Iterator[None]:
    """Let the interpreter do as suits a process in which nothing waits for a single answer."""
    switch_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_COLLECT_AFTER)
    try:
        yield
    finally:
        sys.setswitchinterval(switch_s)
        gc.set_threshold(*thresholds)


async def _predict(settings: Settings, wanted: Wanted, opened: Source) -> int:
    out = sink(wanted.out, columns_of(opened, wanted.prefix), wanted.prefix)
    job = Job(wanted.task, Query([], wanted.model), wanted.prefix)
    parts = Parts(settings)
    async with parts.running() as service:
        journal = Journal(wanted.out, _run(wanted, service))
        if wanted.restart:
            shutil.rmtree(journal.folder, ignore_errors=True)
        with journal.opened(), _Bar(opened, journal) as bar:
            await score(Bulk(service, _ROWS_UNDER_WAY), job, opened, out, journal=journal, progress=bar.tell)
            bar.end()
    return journal.bad


def _run(wanted: Wanted, service: Service) -> dict[str, Any]:
    """Return what makes this run the same as one before: from what, with what, and to what."""
    stat = wanted.file.stat()
    served = [model for model in service.registry.ready if model.manifest.task == wanted.task]
    return {
        "input": str(wanted.file.resolve()),
        "bytes": stat.st_size,
        "modified_ns": stat.st_mtime_ns,
        "task": wanted.task,
        "model": wanted.model,
        "text_column": wanted.column,
        "prefix": wanted.prefix,
        "packages": sorted(f"{model.name}/{model.version} {model.precision}" for model in served),
    }


class _Bar:
    """The progress bar, on a terminal, and a last line of what was done, anywhere; both on standard error."""

    def __init__(self, opened: Source, journal: Journal) -> None:
        self._journal = journal
        self._started, self._before = time.monotonic(), journal.rows
        self._console = Console(file=sys.stderr)
        self._bar = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[bad]:,} bad, {task.fields[rate]:,.0f} rows/s"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=max(1, opened.total), rows=journal.rows, bad=journal.bad, rate=0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        if self._before:
            self._console.print(f"going on after {self._before:,} rows")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, position: int, rows: int, bad: int) -> None:
        """Show how far the run is."""
        self._bar.update(self._task, completed=position, rows=rows, bad=bad, rate=self._rate(rows))

    def end(self) -> None:
        """Say what was done."""
        rows, bad = self._journal.rows, self._journal.bad
        self._bar.stop()
        where = f", {bad:,} of them bad: {self._journal.bad_file}" if bad else ""
        self._console.print(f"{rows:,} rows{where}, {self._rate(rows):,.0f} rows/s", soft_wrap=True, highlight=False)

    def _rate(self, rows: int) -> float:
        return (rows - self._before) / max(1e-6, time.monotonic() - self._started)
