"""What the process's libraries hold of memory: one arena for every session's work space, and a heap that gives back."""

import ctypes
import threading

import onnxruntime

_DEFAULT = -1
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


def trim() -> None:
    """Give memory that was freed back to the kernel, where the C library is one that would keep it (glibc)."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if release is not None:
        release(0)
