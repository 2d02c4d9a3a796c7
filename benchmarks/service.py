"""The service as a process of its own, with its settings' defaults, and what it costs."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings

_START_S = 60
_SLOTS = Settings.model_fields["max_slots"].default
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    url: str
    pid: int

    @property
    def processes(self) -> list[Path]:
        """What the kernel tells of each of its processes: of the supervisor, where there is one, and of its workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()
        return [Path(f"/proc/{pid}") for pid in (str(self.pid), *children)]

    @property
    def is_whole(self) -> bool:
        """Whether every worker is ready, where there are several: each tells from its beginning of its slots."""
        workers = len(self.processes) - 1
        return not workers or (self.metric("sluice_slots") >= workers * _SLOTS and self.metric("sluice_ready") == 1)

    def cpu_s(self) -> float:
        """Return the user and system CPU seconds that its processes have used."""
        return sum(_cpu_s(process / "stat") for process in self.processes)

    def loop_cpu_s(self) -> float:
        """Return those of their main threads, where the event loops turn."""
        return sum(_cpu_s(process / "task" / process.name / "stat") for process in self.processes)

    def metric(self, name: str) -> float:
        """Return a metric's value, summed over its labels."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:  # noqa: S310 - our own loopback address
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}(\{{.*\}})? ", line))

    def pss_mb(self) -> float:
        """Return the proportional memory of its processes in MB: pages that they share count once."""
        return sum(_pss_mb(process / "smaps_rollup") for process in self.processes)


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Keep this thread, and every process that it starts meanwhile for good, on some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(*command: str, tree: Path | None = None, whole: bool = True, **settings: str) -> Iterator[Service]:
    """Yield a service of which every process is ready: ours, or the one that ``python -m command`` starts.

    It listens on a free port, which takes the place of PORT in the command. Its log goes nowhere, but is written.
    ``tree``: another checkout, whose code runs. Without ``whole`` it is enough that one process is ready.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    words = [port if word == "PORT" else word for word in command or ("app", "serve")]
    environment = os.environ | {"SLUICE_PORT": port} | settings
    with subprocess.Popen(
        [sys.executable, "-m", *words], env=environment, cwd=tree, stdout=subprocess.DEVNULL
    ) as process:
        try:
            service = Service(f"http://127.0.0.1:{port}", process.pid)
            _wait_ready(service, process, whole=whole)
            yield service
        finally:
            process.send_signal(signal.SIGTERM)


@contextmanager
def only(*packages: Path) -> Iterator[Path]:
    """Yield a folder of these packages alone, each with all its versions."""
    with tempfile.TemporaryDirectory(prefix="sluice-packages-") as name:
        for package in packages:
            shutil.copytree(package, Path(name) / package.name)
        yield Path(name)


def _cpu_s(stat: Path) -> float:
    fields = stat.read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss_mb(rollup: Path) -> float:
    for line in rollup.read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("the kernel tells no Pss")


def _wait_ready(service: Service, process: "subprocess.Popen[bytes]", *, whole: bool) -> None:
    until = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError):
            with urllib.request.urlopen(f"{service.url}/health/ready"):  # noqa: S310 - our own loopback address
                pass
            if service.is_whole or not whole:
                return
        time.sleep(0.02)
    raise SystemExit("the service did not become ready; `sluice serve` says why")
