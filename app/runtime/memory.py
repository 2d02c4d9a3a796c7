"""What the process's libraries hold of memory: one arena for every session's work space, and a heap that gives back."""

import ctypes
import threading

import onnxruntime

_DEFAULT = -1

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
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


def keep_large_apart() -> None:
    """Have each large block be a mapping of its own, which goes back to the kernel when it is freed.

    Left alone, glibc learns from the first that is freed to put the next ones among small blocks, and the heap grows
    with each version that is opened anew.
    """
    if hasattr(_libc(), "malloc_trim"):
        _libc().mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        _libc().mallopt(_TRIM_THRESHOLD, _IDLE_BYTES)


def trim() -> None:
    """Give memory that was freed back to the kernel."""
    if hasattr(_libc(), "malloc_trim"):
        _libc().malloc_trim(0)


def _libc() -> ctypes.CDLL:
    """Return the process's C library; glibc, which keeps what was freed, is the one that has ``malloc_trim``."""
    return ctypes.CDLL(None)
