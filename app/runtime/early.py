"""Packages that open side by side, in threads of their own, while whoever began it does something else."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from app.modelpack.store import Key
from app.runtime.model import Model
from app.runtime.snapshot import Entry
from app.runtime.threads import usable_cores


class Opening:
    """What comes of each package."""

    def __init__(self, opened: Callable[[Key, str | None], Entry], wanted: Mapping[Key, str | None]) -> None:
        """Begin; hashing files and making sessions leave Python to others. ``wanted``: packages and their digests."""
        self._pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="open")
        self._entries = {key: self._pool.submit(opened, key, digest) for key, digest in wanted.items()}
        self._pool.shutdown(wait=False)

    def join(self) -> None:
        """Return once all is done and no thread is left, as must be before the process forks."""
        self._pool.shutdown(wait=True)

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
