"""What the process's libraries hold of memory: one arena for every session's work space, and a heap that gives back."""

import ctypes
import threading
from functools import cache

import numpy as np
import onnxruntime

from app.runtime.providers import IDENTITY

_DEFAULT = -1

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""What glibc's ``mallopt`` may be told, by the numbers of its ``malloc.h``."""
_LARGE_BYTES = 256 << 10
"""A package's files, tables and weights are such blocks, and few of what a request asks for."""
_IDLE_BYTES = 16 << 20
"""As much may lie free at the heap's end, which spares it asking for the same pages again and again."""

_registering = threading.Lock()
_registered = threading.Event()


def join_arena(options: onnxruntime.SessionOptions) -> None:
    """Have a session on the CPU take its work space from the arena that all such sessions of the process share.

    With an arena of its own each keeps what its largest batch took, though few run at once.
    """
    with _registering:
        if not _registered.is_set():  # a second one would take the first one's place, for sessions yet to come
            where = onnxruntime.OrtMemoryInfo(
                "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
            )
            growth = onnxruntime.OrtArenaCfg(0, _DEFAULT, _DEFAULT, _DEFAULT)  # no bound: requests are bounded
            onnxruntime.create_and_register_allocator(where, growth)
            _registered.set()
    options.add_session_config_entry("session.use_env_allocators", "1")


def let_go_of_graph(session: onnxruntime.InferenceSession) -> None:
    """Forget the bytes that a session was opened from, which it keeps for being opened anew on another provider.

    It never is: with its fallback off nothing reads them, and a run that fails on a device does not quietly go on
    without it.
    """
    session.disable_fallback()
    session._model_bytes = None  # noqa: SLF001 - the class has no other way, and says itself that it should not keep it


def keep_heap_small() -> None:
    """Have all threads share one heap, and each large block be a mapping of its own; call it before anything is opened.

    Left alone, glibc gives each thread a heap of its own, in which what that thread freed waits for that thread alone.
    And from the first large block that is freed it learns to put the next ones among small blocks, which keep their
    pages once they are free: then the process grows with each version that is opened anew.
    """
    if hasattr(_libc(), "malloc_trim"):
        _libc().mallopt(_ARENA_MAX, 1)
        _libc().mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        _libc().mallopt(_TRIM_THRESHOLD, _IDLE_BYTES)


def trim() -> None:
    """Give back to the kernel what nobody uses of the arena and of the heap."""
    if _registered.is_set():
        _shrink_arena()
    if hasattr(_libc(), "malloc_trim"):
        _libc().malloc_trim(0)


def _shrink_arena() -> None:
    """Give back the regions of which no run and no answer holds anything now; left alone, the arena keeps them all.

    The runtime does so at the end of a run that asks for it, in the whole of the arena that its session takes part in.
    """
    asking = onnxruntime.RunOptions()
    asking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _smallest_session().run(None, {"x": np.zeros(1, np.float32)}, asking)


@cache
def _smallest_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    join_arena(options)
    return onnxruntime.InferenceSession(IDENTITY, options, providers=["CPUExecutionProvider"])


def _libc() -> ctypes.CDLL:
    """Return the process's C library; glibc, which keeps what was freed, is the one that has ``malloc_trim``."""
    return ctypes.CDLL(None)
