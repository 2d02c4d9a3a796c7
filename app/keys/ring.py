"""The keys that hold now: found by what a caller sends, read anew when their file changes."""

import hmac
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from app.errors import KeysError
from app.keys.key import MAX_KEY_BYTES, Key, digest_of, read

log = structlog.get_logger("sluice")

_LOOK_EVERY_S = 1.0
_INDEXED_BYTES = 8
"""Of the digest. What is looked up and compared is a hash, so that time tells a caller nothing of a key; the whole of
it is compared in constant time all the same."""

_Entry = tuple[bytes, float, Key]


class KeyRing:
    """The keys of one file."""

    def __init__(
        self, file: Path, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        """Read the file; ``KeysError`` where it is wrong."""
        self._file = file
        self._clock = clock
        self._wall = wall
        self._seen = _signature(file)
        self._entries = _indexed(read(file))
        self._look_at = clock() + _LOOK_EVERY_S
        log.info("keys_read", file=str(file), keys=self.names)

    @property
    def names(self) -> list[str]:
        """The keys' names, those that have expired among them."""
        return sorted(key.name for _, _, key in self._entries.values())

    def find(self, secret: bytes) -> Key | None:
        """Return the key that ``secret`` is, unless it has expired; a change of the file counts within a second."""
        if self._clock() >= self._look_at:
            self.refresh()
        if len(secret) > MAX_KEY_BYTES:
            return None
        digest = digest_of(secret)
        entry = self._entries.get(digest[:_INDEXED_BYTES])
        if entry is None:
            return None
        known, expires_at, key = entry
        return key if hmac.compare_digest(known, digest) and self._wall() < expires_at else None

    def hurry(self) -> None:
        """Look at the file at the next request; safe in a signal's handler."""
        self._look_at = float("-inf")

    def refresh(self) -> None:
        """Read the file if it has changed; keys that were good stay where it has become wrong, and the log says so."""
        self._look_at = self._clock() + _LOOK_EVERY_S
        signature = _signature(self._file)
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._entries = _indexed(read(self._file))
        except KeysError as broken:
            log.error("keys_unreadable", reason=str(broken), kept=self.names)  # noqa: TRY400 - the reason says it all
            return
        log.info("keys_read", file=str(self._file), keys=self.names)


def _signature(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _indexed(keys: list[Key]) -> dict[bytes, _Entry]:
    digests = [(bytes.fromhex(key.sha256), key) for key in keys]
    return {digest[:_INDEXED_BYTES]: (digest, key.expires_at, key) for digest, key in digests}
