"""Sessions share one arena and keep no bytes of their graph, threads share one heap; both give back what is free."""

import ctypes
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from app.modelpack.store import open_package
from app.runtime.memory import keep_heap_small, trim
from app.runtime.providers import choose
from app.runtime.session import Session, padded
from tests.packages import TINY

ROOT = Path(__file__).parents[3]
glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc's heap is told")

_HELD = """
from pathlib import Path

def held_mb():
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1024
"""

# A graph each of whose runs takes 64 MB of work space.
_ROOMY = """
import json, threading

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from app.runtime.providers import choose
from app.runtime.session import opened

graph = helper.make_graph(
    [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("Expand", ["zeros", "size"], ["more"]),
        helper.make_node("Concat", ["zeros", "more"], ["work"], axis=0),
        helper.make_node("ReduceSum", ["work"], ["sum"], keepdims=0),
    ],
    "roomy",
    [helper.make_tensor_value_info("size", TensorProto.INT64, [1])],
    [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [])],
)
raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
"""

# A process of its own: in this one other tests' sessions have filled the arena.
_FOUR_SESSIONS = """
registered = []
register = onnxruntime.create_and_register_allocator
onnxruntime.create_and_register_allocator = lambda *given: (registered.append(given), register(*given))

sessions = []
open_one = lambda: sessions.append(opened("roomy.onnx", raw, choose("cpu")))
threads = [threading.Thread(target=open_one) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

held = [held_mb()]
for session in sessions:
    session.run(None, {"size": np.array([1 << 23])})
    held.append(held_mb())
print(json.dumps({"registered": len(registered), "held_mb": held}))
"""

_SHAPES = """
from app.runtime.memory import keep_heap_small, trim

keep_heap_small()
sessions = [opened("roomy.onnx", raw, choose("cpu")) for _ in range(2)]
sizes = [1 << 16, 3 << 20, 1 << 23, 1 << 10, 5 << 20]
sessions[0].run(None, {"size": np.array([1])})
trim()
held = [held_mb()]
for _ in range(4):
    for at, size in enumerate(sizes):
        sessions[at % 2].run(None, {"size": np.array([size])})
    held.append(held_mb())
    trim()
    held.append(held_mb())
print(json.dumps(held))
"""

_THREADS = """
import ctypes, os, threading

from app.runtime.memory import keep_heap_small

keep_heap_small()
all_have = threading.Barrier(8)
threads = [threading.Thread(target=lambda: (bytes(60_000), all_have.wait())) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
os.dup2(1, 2)  # where glibc writes to
ctypes.CDLL(None).malloc_stats()
"""

_FREED = """
from app.runtime.memory import trim

below = [bytes(60_000) for _ in range(2000)]
stays = bytes(60_000)
below.clear()
before = held_mb()
trim()
print(before - held_mb())
"""

_LARGE = """
from app.runtime.memory import keep_heap_small

keep_heap_small()
for _ in range(3):
    b"x" * (12 << 20)  # freed at once: from this glibc learns
large, small = [], []
for _ in range(10):
    large.append(b"x" * (8 << 20))
    small.append(b"x" * 60_000)
before = held_mb()
large.clear()
print(before - held_mb())
"""


_TOKENIZERS = """
import json, random, string

from app.modelpack.store import open_package
from app.runtime.memory import trim
from tests.packages import TINY

package, letters = open_package(TINY), random.Random(1)
held = []
for _ in range(12):
    words = ["".join(letters.choices(string.ascii_lowercase, k=9)) for _ in range(20_000)]
    package.tokenizer().encode([" ".join(words)])
    trim()
    held.append(held_mb())
print(json.dumps(held))
"""


def process(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", _HELD + script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells what is held")
def test_sessions_that_are_opened_at_once_share_one_arena() -> None:
    said = json.loads(process(_ROOMY + _FOUR_SESSIONS))
    first, *later = np.diff(said["held_mb"])
    assert said["registered"] == 1
    assert first > 60, "the run takes work space"
    assert len(later) == 3
    assert sum(later) < first / 4


@glibc
def test_runs_of_any_size_leave_the_arena_as_small_as_it_was_once_it_is_trimmed() -> None:
    before, *then = json.loads(process(_ROOMY + _SHAPES))
    taken, left = then[::2], then[1::2]
    assert min(taken) > before + 60, "the runs take work space, and the arena keeps it"
    assert max(left) < before + 4


@glibc
def test_threads_share_one_heap() -> None:
    assert [line for line in process(_THREADS).splitlines() if line.startswith("Arena ")] == ["Arena 0:"]


class Raw(bytes):
    """Bytes that tell when they go."""

    gone: list[bool]

    def __new__(cls, raw: bytes, gone: list[bool]) -> Self:
        made = super().__new__(cls, raw)
        made.gone = gone
        return made

    def __del__(self) -> None:
        self.gone.append(True)


def test_a_session_keeps_no_bytes_of_its_graph_and_is_opened_anew_from_its_file() -> None:
    package = open_package(TINY)
    graph = package.manifest.graphs[0]
    read, gone = partial(package.graph_bytes, graph), list[bool]()
    session = Session(graph, Raw(read(), gone), choose("cpu"), read=read)
    assert gone
    feeds = padded([np.array([5, 6, 7]), np.array([8])], 0)
    before = session.run(["logits"], feeds)
    session.renew()
    assert np.array_equal(session.run(["logits"], feeds), before)


@glibc
def test_large_blocks_among_small_ones_go_back_to_the_kernel_once_freed() -> None:
    assert float(process(_LARGE)) > 79


@glibc
def test_what_was_freed_below_what_stays_goes_back_to_the_kernel() -> None:
    assert float(process(_FREED)) > 60


def test_a_heap_that_cannot_be_told_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_heap_small()
    trim()


@glibc
def test_what_a_tokenizer_has_cut_goes_with_it() -> None:
    held = json.loads(process(_TOKENIZERS))
    assert held[-1] < held[2] + 4
