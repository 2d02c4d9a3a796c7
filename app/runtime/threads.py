"""How many cores this process may really use, and threads that leave them to others."""

import contextlib
import math
import os
import sys
import threading
from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_BEHIND = 10
"""What is added to a thread's niceness: a tenth of the share of one that serves, where both want the core."""


def usable_cores(cgroup: Path = _CGROUP_ROOT) -> int:
    """Return the cores that affinity and the cgroup quota leave, at least 1.

    The host's core count is wrong in a container: a quota of two cores on a 64-core host would start 64 threads, which
    the kernel then stops for most of every period. A broken quota counts as none.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_cores(cgroup)
    return max(1, min(cores, math.ceil(quota))) if quota else max(1, cores)


def step_back() -> None:
    """Let the calling thread run after the others of this process, for good; where the kernel knows no such thing, not.

    Not the last of all: it holds Python's lock at times, for which the others then wait.
    """
    if sys.platform == "linux":  # elsewhere niceness is a whole process's
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _BEHIND)


def give_way() -> None:
    """Have the calling thread take no core from another when it wakes; where the kernel knows no such thing, not.

    Linux calls that a batch policy. The thread keeps its share of the cores, and the event loop is no longer put off
    by whoever it has just woken.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # 0 is this thread


def _quota_cores(cgroup: Path) -> float | None:
    """Return the quota in cores of cgroup v2 (cpu.max) or v1 (cpu.cfs_*), ``None`` where there is none."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text("ascii").split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text("ascii")
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text("ascii")
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None
