"""Packages that open side by side, in threads of their own, while whoever began it does something else."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress

from app.modelpack.store import Key
from app.runtime.memory import trim_own
from app.runtime.model import Model
from app.runtime.snapshot import Entry
from app.runtime.threads import usable_cores


class Opening:
    """What comes of each package."""

    def __init__(self, opened: Callable[[Key, str | None], Entry], wanted: Mapping[Key, str | None]) -> None:
        """Begin; hashing files and making sessions leave Python to others. ``wanted``: packages and their digests."""
        self._opened = opened
        self._entries: dict[Key, Future[Entry]] = {key: Future() for key in wanted}
        self._waiting = deque(wanted.items())
        count = min(usable_cores(), len(wanted))
        self._threads = [threading.Thread(target=self._open, name=f"open-{at}") for at in range(count)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Return once all is done and no thread is left, as must be before the process forks."""
        for thread in self._threads:
            thread.join()

    def __getitem__(self, key: Key) -> Entry:
        """Return what came of a package, as soon as that is known."""
        return self._entries[key].result()

    def those(self, wanted: Mapping[Key, str | None]) -> dict[Key, Entry]:
        """Return what came of those that are as they are ``wanted`` now: of any digest, or open with that one."""
        found = {key: self[key] for key in wanted if key in self._entries}
        return {
            key: entry
            for key, entry in found.items()
            if wanted[key] is None or (isinstance(entry, Model) and entry.package.digest == wanted[key])
        }

    def _open(self) -> None:
        """Open one package after the other, as one of the threads."""
        with suppress(IndexError):  # none is left
            while True:
                key, digest = self._waiting.popleft()
                self._settle(self._entries[key], key, digest)
        trim_own()

    def _settle(self, entry: Future[Entry], key: Key, digest: str | None) -> None:
        try:
            entry.set_result(self._opened(key, digest))
        except Exception as broken:  # noqa: BLE001 - whoever asks for the package gets it
            entry.set_exception(broken)
