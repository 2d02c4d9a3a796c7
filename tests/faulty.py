"""The real service with a fault let into it from outside: `python -m tests.faulty serve`.

What goes wrong is told by the environment, so that worker processes inherit it; the service's own code is as it is.

    FAULT_RAISES, FAULT_HANGS   a token's id: a run of a graph over it raises, or never comes back
    FAULT_IN                    a text: only graphs whose bytes hold it have these faults
    FAULT_SPINS                 the same, but the runtime ends the run where it is told to
    FAULT_CLOCK                 seconds by which the wall clock jumps, forth and back, several times a second
    FAULT_FILE_BYTES            how large a file may become: a disk that is full
    FAULT_LOOP                  any value: on SIGUSR1 the event loop stands still
"""

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from tests.endless import DAYS, endless
from tests.packages import PACKAGES, TINY
from tests.server import Server, ending

RAISES, HANGS = "terrible", "awful"
_JUMPS_A_SECOND = 7


class FaultyServer(Server):
    """The service started by this module."""

    launcher = "tests.faulty"


@contextmanager
def faulty(models_dir: Path = PACKAGES, /, **settings: object) -> Iterator[FaultyServer]:
    """Yield a ready service with a fault in it."""
    with ending(FaultyServer(models_dir, **settings)) as server:
        yield server


def token(word: str) -> int:
    """Return the id of a word that the tiny package knows by a token of its own."""
    ids: list[int] = Tokenizer.from_file(str(TINY / "tokenizer.json")).encode(word).ids
    return ids[-1]


class _Session(onnxruntime.InferenceSession):  # type: ignore[misc]
    def __init__(self, raw: bytes, *more: Any, **options: Any) -> None:
        super().__init__(raw, *more, **options)
        self._is_sound = os.environ.get("FAULT_IN", "").encode() not in raw

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> Any:
        if not self._is_sound and _met("FAULT_RAISES", feeds):
            raise RuntimeError("a fault of the test")
        if not self._is_sound and _met("FAULT_HANGS", feeds):
            threading.Event().wait()
        if _met("FAULT_SPINS", feeds):
            spinning = onnxruntime.capi.onnxruntime_inference_collection.InferenceSession(endless())
            spinning.run(None, {"times": np.array(DAYS), "start": np.array(0)}, options)
        return super().run(outputs, feeds, options)


def _met(fault: str, feeds: Mapping[str, Any]) -> bool:
    return fault in os.environ and "ids" in feeds and bool((feeds["ids"] == int(os.environ[fault])).any())


def _let_the_clock_jump(seconds: float) -> None:
    real = time.time
    time.time = lambda: real() + seconds * (int(_JUMPS_A_SECOND * time.monotonic()) % 3 - 1)


def _let_faults_in() -> None:
    onnxruntime.InferenceSession = _Session
    if "FAULT_CLOCK" in os.environ:
        _let_the_clock_jump(float(os.environ["FAULT_CLOCK"]))
    if "FAULT_FILE_BYTES" in os.environ:
        most = int(os.environ["FAULT_FILE_BYTES"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if "FAULT_LOOP" in os.environ:
        signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))


if __name__ in {"__main__", "__mp_main__"}:  # the service or a worker of it, not a test that starts them
    _let_faults_in()

if __name__ == "__main__":
    from app.cli import app

    app()
