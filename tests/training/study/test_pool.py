"""Doing a study's runs: resumed, failing, dying, cut short."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training.study import plan as plans
from training.study.ledger import Entry, Ledger
from training.study.material import Material
from training.study.plan import Comparison, Job
from training.study.pool import Work, Workers, pool, run_all
from training.study.runner import Outcome


def quick(job: Job, _: Material) -> Outcome:
    return Outcome(
        score=job.config.seed / 10, parameters=1, epochs=1, steps=1, seconds_per_epoch=1, seconds=1, cpu_seconds=1
    )


def failing_on_three_epochs(job: Job, material: Material) -> Outcome:
    if job.config.loop.epochs == 3:
        raise ValueError("diverged\nat length")
    return quick(job, material)


def dying_on_three_epochs(job: Job, material: Material) -> Outcome:
    if job.config.loop.epochs == 3:
        os._exit(1)
    return quick(job, material)


def refused(_: Job, __: Material) -> Outcome:
    raise AssertionError("a run that is done was done again")


class Study:
    """The tiny comparison's jobs, without the training."""

    def __init__(self, plan: Comparison, material: Material, path: Path) -> None:
        self.material = material
        self.path = path
        self.said: list[str] = []
        self.jobs = plans.jobs(plan, material)

    def do(self, work: Work, *, minutes: float = 5.0, workers: Workers | None = None) -> Ledger:
        ledger = Ledger(self.path)
        run_all(
            self.jobs,
            self.material,
            ledger,
            self.said.append,
            processes=1,
            minutes=minutes,
            work=work,
            workers=workers or (lambda processes, _: ThreadPoolExecutor(processes)),
        )
        return ledger


@pytest.fixture
def study(plan: Comparison, material: Material, tmp_path: Path) -> Study:
    return Study(plan, material, tmp_path / "runs.jsonl")


def test_a_finished_run_is_not_done_again(study: Study) -> None:
    ledger = Ledger(study.path)
    for job in study.jobs:
        ledger.add(Entry(job.key, quick(job, study.material)))
    study.do(refused)
    assert study.said == ["study: 12 runs, 12 of them done before"]


def test_a_run_that_fails_keeps_its_reason_and_the_others_go_on(study: Study) -> None:
    ledger = study.do(failing_on_three_epochs)
    reasons = {job.config.loop.epochs: ledger.get(job.key) for job in study.jobs}
    assert reasons[3] is not None
    assert reasons[3].reason == "ValueError: diverged"
    assert sum(ledger.finished(job.key) for job in study.jobs) == 10
    assert "12/12" in study.said[-1]


def test_a_run_that_takes_its_process_down_fails_alone(study: Study) -> None:
    study.jobs = [job for job in study.jobs if job.config.seed == 1]
    ledger = study.do(dying_on_three_epochs, workers=pool)
    failed = [job for job in study.jobs if not ledger.finished(job.key)]
    assert [ledger.get(job.key) for job in failed] == [Entry(failed[0].key, None, "its process died")]
    assert failed[0].config.loop.epochs == 3


def test_a_failed_run_is_tried_again(study: Study) -> None:
    study.jobs = [job for job in study.jobs if job.config.loop.epochs == 3][:1]
    assert not study.do(failing_on_three_epochs).finished(study.jobs[0].key)
    assert study.do(quick).finished(study.jobs[0].key)


def test_out_of_time_nothing_is_begun_and_what_is_left_is_said(study: Study) -> None:
    ledger = study.do(refused, minutes=0.0)
    assert not any(ledger.get(job.key) for job in study.jobs)
    assert study.said[-1] == "study: out of time; 12 runs left, which the same command takes up"
