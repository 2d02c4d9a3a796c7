"""Closed-loop load by wrk: requests/s, latency, and what the service's CPU paid for it."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    groups = [texts[at : at + items] for at in range(0, len(texts) - items + 1, items)]
    bodies = [{"inputs": group if items > 1 else group[0]} for group in groups]
    found, spent = post(service, "/v1/sentiment", bodies, connections=connections, seconds=seconds)
    return Load(
        kind=kind,
        connections=connections,
        items=items,
        requests_s=found["requests"] / found["seconds"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        cpu_s_per_1k=1000 * spent / max(1, found["requests"]),
        errors=int(found["errors"]),
    )


def post(
    service: Service,
    path: str,
    bodies: list[dict[str, Any]],
    *,
    connections: int,
    seconds: int,
    timeout_s: int = 2,
) -> tuple[dict[str, float], float]:
    """POST ``bodies`` in turn over so many connections for so long.

    Returns what wrk counted (requests, seconds, p50_ms, p99_ms, errors) and the service's CPU seconds.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed; expected it on the path (Debian: apt-get install wrk)")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as file:
        file.writelines(json.dumps(body) + "\n" for body in bodies)
        file.flush()
        before = service.cpu_s()
        command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{timeout_s}s", "-s", str(_SCRIPT)]
        command += [service.url, "--", file.name, path]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        spent = service.cpu_s() - before
    found: dict[str, float] = json.loads(next(line for line in printed.splitlines() if line.startswith("JSON "))[5:])
    return found, spent
