"""Closed-loop load by wrk: requests/s, latency, and what the service's CPU paid for it."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service import Service

_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement."""

    kind: str
    connections: int
    items: int
    requests_s: float
    p50_ms: float
    p99_ms: float
    cpu_s_per_1k: float
    errors: int

    @property
    def texts_s(self) -> float:
        """Texts answered a second."""
        return self.requests_s * self.items


def drive(service: Service, kind: str, texts: list[str], *, connections: int, seconds: int, items: int = 1) -> Load:
    """POST ``texts``, ``items`` of them a request, over so many connections for so long."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed; expected it on the path (Debian: apt-get install wrk)")
    groups = [texts[at : at + items] for at in range(0, len(texts) - items + 1, items)]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as bodies:
        bodies.writelines(json.dumps({"inputs": group if items > 1 else group[0]}) + "\n" for group in groups)
        bodies.flush()
        before = service.cpu_s()
        command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_SCRIPT), service.url, "--", bodies.name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        spent = service.cpu_s() - before
    found = json.loads(next(line for line in printed.splitlines() if line.startswith("JSON "))[5:])
    return Load(
        kind=kind,
        connections=connections,
        items=items,
        requests_s=found["requests"] / found["seconds"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        cpu_s_per_1k=1000 * spent / max(1, found["requests"]),
        errors=found["errors"],
    )
