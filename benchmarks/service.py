"""The service as a process of its own, with its settings' defaults, and what it costs."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_S = 60
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the user and system CPU seconds that the process has used."""
        return _cpu_s(Path(f"/proc/{self.pid}/stat"))

    def loop_cpu_s(self) -> float:
        """Return those of its main thread, where the event loop turns."""
        return _cpu_s(Path(f"/proc/{self.pid}/task/{self.pid}/stat"))

    def metric(self, name: str) -> float:
        """Return a metric's value, summed over its labels."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:  # noqa: S310 - our own loopback address
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}(\{{.*\}})? ", line))

    def pss_mb(self) -> float:
        """Return the process's proportional memory in MB."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
        raise RuntimeError("the kernel tells no Pss")


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
def running(*command: str, tree: Path | None = None, **settings: str) -> Iterator[Service]:
    """Yield a ready service on a free port: ours, or the one that ``python -m command``, with PORT in it, starts.

    Its log goes nowhere, but is written. ``tree``: another checkout, whose code runs.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    words = [port if word == "PORT" else word for word in command or ("app", "serve")]
    environment = os.environ | {"SLUICE_PORT": port} | settings
    with subprocess.Popen(
        [sys.executable, "-m", *words], env=environment, cwd=tree, stdout=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_ready(url, process)
            yield Service(url, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


def _cpu_s(stat: Path) -> float:
    fields = stat.read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _wait_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{url}/health/ready"):  # noqa: S310 - our own loopback address
                return
        except urllib.error.URLError:
            time.sleep(0.02)
    raise SystemExit("the service did not become ready; `sluice serve` says why")
