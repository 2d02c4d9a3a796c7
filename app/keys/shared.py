"""The buckets of keys in memory that several processes share: a key's limit holds whichever of them is asked.

throttled-py keeps a bucket as one time, at which it is full again. Here these times stand in a table that was made
before the processes were forked. A bucket that is full again needs no place, so that the earliest time gives way.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import threading
import weakref
from hashlib import blake2b
from pathlib import Path
from typing import Any

from throttled.store import MemoryStore
from throttled.store.memory import MemoryStoreBackend

_CELL = struct.Struct("=Qd")
_CELLS = 1 << 13
_NEAR = 16
"""In so many cells from where its name says a bucket is looked for."""


class Sheet:
    """A table of times by name, in shared memory."""

    def __init__(self) -> None:
        self._cells = mmap.mmap(-1, _CELLS * _CELL.size)
        self._file = _file_without_a_name()
        weakref.finalize(self, os.close, self._file)
        self._threads = threading.Lock()

    def __enter__(self) -> None:
        """Keep out other threads and processes; the kernel lets the others in again where this one dies."""
        self._threads.acquire()
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        """Let others in again."""
        fcntl.lockf(self._file, fcntl.LOCK_UN)
        self._threads.release()

    def get(self, name: str) -> float | None:
        """Return the time under a name, ``None`` where there is none."""
        wanted = _number(name)
        return next((at for _, number, at in self._near(wanted) if number == wanted), None)

    def put(self, name: str, at: float) -> None:
        """Keep a time under a name; where there is no room, in the place of the earliest."""
        wanted = _number(name)
        near = list(self._near(wanted))
        own = [offset for offset, number, _ in near if number == wanted]
        offset = own[0] if own else min(near, key=lambda cell: cell[2])[0]
        _CELL.pack_into(self._cells, offset, wanted, at)

    def _near(self, number: int) -> list[tuple[int, int, float]]:
        """Return offset, name and time of the cells in which a name may be."""
        offsets = [(number + step) % _CELLS * _CELL.size for step in range(_NEAR)]
        return [(offset, *_CELL.unpack_from(self._cells, offset)) for offset in offsets]


class SharedStore(MemoryStore):
    """throttled-py's store in memory, with the times of its buckets in a sheet."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__()
        self._backend = _Backend(sheet)


class _Backend(MemoryStoreBackend):
    def __init__(self, sheet: Sheet) -> None:
        super().__init__()
        self._sheet = sheet
        self.lock: Any = sheet

    def get(self, key: str) -> float | None:
        return self._sheet.get(key)

    def set(self, key: str, value: Any, timeout: int) -> None:  # noqa: ARG002 - the library's
        self._sheet.put(key, float(value))


def _file_without_a_name() -> int:
    """Return the descriptor of an empty file to lock: a lock of this kind ends with the process that holds it."""
    descriptor, path = tempfile.mkstemp(prefix="sluice-limits-")
    Path(path).unlink()
    return descriptor


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8"), digest_size=8).digest(), "little") or 1
