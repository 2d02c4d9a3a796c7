"""What a figure was measured on: the machine, and the versions of what does the work."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.runtime.threads import usable_cores

_PARTS = ("sluice", "onnxruntime", "tokenizers", "numpy", "fastapi", "uvicorn", "uvloop")


def facts() -> dict[str, Any]:
    """Return the machine's cores, processor, kernel and load of the last minute, and the versions."""
    return {
        "cores": usable_cores(),
        "processor": _processor(),
        "kernel": platform.release(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {part: version(part) for part in _PARTS},
    }


def _processor() -> str:
    """Return the processor's name, which only Linux's own file has."""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
