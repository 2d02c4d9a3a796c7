"""The real service as a process of its own, on a free port, for the tests that need sockets and signals."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.packages import PACKAGES

ROOT = Path(__file__).parents[1]
_START_S = 120
_STDERR = 2


class Server:
    """A running service and what it logs."""

    launcher = "app"
    """The module that is run."""

    def __init__(self, models_dir: Path, **settings: object) -> None:
        """Start it; ``settings`` are names of SLUICE_ variables in lower case; names in capitals stand as they are.

        One process, unless ``workers`` says otherwise.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        environment |= {"SLUICE_MODELS_DIR": str(models_dir), "SLUICE_PORT": "0", "SLUICE_LOG_FORMAT": "json"}
        environment |= {"SLUICE_WORKERS": "1"}
        environment |= {
            name if name.isupper() else f"SLUICE_{name.upper()}": str(value) for name, value in settings.items()
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.launcher, "serve"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = f"http://127.0.0.1:{self.logged('listening')['port']}"

    def logged(self, event: str, within_s: float = _START_S) -> dict[str, Any]:
        """Return the first log line of an event, waiting for it."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            for line in list(self.lines):
                if line.startswith("{") and (found := json.loads(line))["event"] == event:
                    return dict(found)
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{event!r} was not logged:\n" + "\n".join(self.lines))

    def wait_ready(self) -> None:
        """Return once /health/ready answers 200."""
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError("the service did not become ready:\n" + "\n".join(self.lines))

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        total, seen = 0.0, False
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{key}="{want}"' in series for key, want in labels.items()):
                total, seen = total + float(value), True
        if not seen:
            raise AssertionError(f"no series {name} with {labels}")
        return total

    def stop(self, sign: signal.Signals = signal.SIGTERM, within_s: float = 30) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(sign)
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        if self.process.stdout is not None:
            with self.process.stdout as lines:
                self.lines.extend(line.rstrip("\n") for line in lines)


ServerT = TypeVar("ServerT", bound=Server)


@contextmanager
def serving(models_dir: Path = PACKAGES, /, **settings: object) -> Iterator[Server]:
    """Yield a ready service, and make sure that it ends."""
    with ending(Server(models_dir, **settings)) as server:
        yield server


@contextmanager
def ending(server: ServerT) -> Iterator[ServerT]:
    """Yield a service once it is ready, and make sure that it ends."""
    try:
        server.wait_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(10)


def sockets_of(pid: int) -> set[str]:
    """Return the sockets that a process has open, by their numbers; the standard streams do not count."""
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            found.add(str(file.readlink()) if int(file.name) > _STDERR else "")
    return {link for link in found if link.startswith("socket:")}
