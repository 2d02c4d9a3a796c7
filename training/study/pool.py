"""Runs a study's jobs, several at once, each in a process with one thread."""

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from pathlib import Path
from threading import Thread

from training.study.ledger import Entry, Ledger
from training.study.material import Material
from training.study.plan import Job
from training.study.runner import Outcome, run
from training.train import Say, prepare_torch

Work = Callable[[Job, Material], Outcome]
Workers = Callable[[int, Path], Executor]


def run_all(
    jobs: Sequence[Job],
    material: Material,
    ledger: Ledger,
    say: Say,
    *,
    processes: int,
    minutes: float,
    work: Work | None = None,
    workers: Workers | None = None,
) -> None:
    """Do every job that the ledger does not have yet, and enter how each ended; stop beginning jobs after `minutes`.

    A job that raises, or takes its process down, is entered as failed with the reason, and the others go on. `work`
    and `workers` stand in for the run itself and for the processes.
    """
    waiting = [job for job in jobs if not ledger.finished(job.key)]
    say(f"study: {len(jobs)} runs, {len(jobs) - len(waiting)} of them done before")
    until = time.monotonic() + 60 * minutes
    progress = _Progress(len(waiting), say)
    while waiting and time.monotonic() < until:
        # One round is one pool: a process that dies breaks its pool, and the next round begins with a new one.
        with (workers or pool)(processes, material.root / "workers.log") as executor:
            waiting = _round(
                waiting, material, ledger, progress, executor, processes=processes, until=until, work=work or do
            )
    if waiting:
        say(f"study: out of time; {len(waiting)} runs left, which the same command takes up")


def do(job: Job, material: Material) -> Outcome:
    """Do one job, and before it the preparation of its data where no job did that yet."""
    return run(job.config, material.prepare(job.config), material.root)


def begin(log: Path) -> None:
    """Make this process one of a study's: one thread, its libraries' words in a file, and no life beyond the study."""
    with log.open("a", encoding="utf-8") as out:
        for stream in (1, 2):
            os.dup2(out.fileno(), stream)
    prepare_torch(1)
    Thread(target=_end_with_the_study, daemon=True).start()


def _end_with_the_study() -> None:
    study = multiprocessing.parent_process()
    if study is not None:
        # Without this, a killed study leaves processes that wait for their next job forever.
        study.join()
        os._exit(1)


def pool(processes: int, log: Path) -> ProcessPoolExecutor:
    """Return processes that have begun; spawned, since torch's threads do not survive a fork."""
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=begin, initargs=(log,))


class _Progress:
    """Says how a run ended, how many are left, and how long they will take at the rate so far."""

    def __init__(self, total: int, say: Say) -> None:
        self._total = total
        self._say = say
        self._done = 0
        self._since = time.monotonic()

    def say(self, job: Job, entry: Entry) -> None:
        self._done += 1
        left = (time.monotonic() - self._since) / self._done * (self._total - self._done)
        one = job.config
        ended = f"{entry.outcome.score:.4f} in {entry.outcome.seconds:.1f} s" if entry.outcome else entry.reason
        self._say(
            f"study: {self._done}/{self._total} {one.sets[0].name} seed {one.seed} {entry.key}: {ended}; "
            f"{left / 60:.1f} min left"
        )


def _round(
    jobs: Sequence[Job],
    material: Material,
    ledger: Ledger,
    progress: _Progress,
    workers: Executor,
    *,
    processes: int,
    until: float,
    work: Work,
) -> list[Job]:
    """Do jobs until all are done, time is up or the pool breaks; return those that are left."""
    left = list(jobs)
    running: dict[Future[Entry], Job] = {}
    broken = False
    while not broken:
        # As many as there are processes and no more, so that nothing begins once time is up.
        while left and len(running) < processes and time.monotonic() < until:
            job = left.pop(0)
            running[workers.submit(_attempt, work, job, material)] = job
        if not running:
            break
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            job, error = running.pop(future), future.exception()
            entry = Entry(job.key, None, "its process died") if error else future.result()
            broken = broken or error is not None
            ledger.add(entry)
            progress.say(job, entry)
    return [*running.values(), *left]


def _attempt(work: Work, job: Job, material: Material) -> Entry:
    try:
        return Entry(job.key, work(job, material))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this run's reason, and the others go on
        return Entry(job.key, None, f"{type(error).__name__}: {error}".splitlines()[0])
