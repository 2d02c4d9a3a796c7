"""Clients that nobody here wrote, in an environment of their own.

NVIDIA's and KServe's clients hold protobuf, pandas and greenlet below what the rest of this project uses, and two of
them in one process would enter the protocol's messages twice.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]
SESSIONS = ROOT / "tests" / "clients"
PYTHON = ROOT / ".venv" / "clients" / "bin" / "python"


def python() -> Path:
    """Return the interpreter that has the clients, made by ``make`` where it is not there yet."""
    (ROOT / ".venv").mkdir(exist_ok=True)
    with FileLock(ROOT / ".venv" / "clients.lock"):
        make = ["make", "--silent", ".venv/clients.made"]
        made = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"NO CLIENTS: they could not be installed: {made.stderr[-300:]}")
    return PYTHON


def run(source: str, *arguments: str) -> str:
    """Return what a program of the clients' environment prints."""
    ended = subprocess.run(
        [python(), "-c", source, *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def session(script: str, *arguments: str) -> dict[str, Any]:
    """Return what a session of tests/clients tells."""
    told: dict[str, Any] = json.loads(run((SESSIONS / script).read_text("utf-8"), *arguments))
    return told
