"""Cores come from the cgroup quota, not from the host; a thread can leave them to the others."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.runtime.threads import give_way, step_back, usable_cores

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("100000 100000", 1),
        ("150000 100000", min(2, HERE)),
        ("50000 100000", 1),
        ("max 100000", HERE),
        ("nonsense", HERE),
        ("9900000 100000", HERE),
    ],
)
def test_a_cgroup_v2_quota_bounds_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path) == cores


@pytest.mark.parametrize(("quota", "cores"), [("100000", 1), ("-1", HERE)])
def test_a_cgroup_v1_quota_bounds_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert usable_cores(tmp_path) == cores


def test_without_a_cgroup_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == HERE


@pytest.mark.skipif(sys.platform != "linux", reason="NO NICENESS OF THREADS: the kernel knows only that of processes")
def test_a_thread_that_steps_back_leaves_the_others_where_they_are() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=step_back) as behind:
        found = behind.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert found == min(19, before + 10)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="NO POLICIES OF THREADS: os.SCHED_BATCH is Linux's")
def test_a_thread_that_gives_way_is_batch_work_and_the_others_are_not() -> None:
    with ThreadPoolExecutor(1, initializer=give_way) as giving:
        assert giving.submit(lambda: os.sched_getscheduler(0)).result() == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
