"""Notices that packages have come, changed or gone below a folder.

By looking, not by asking the kernel: network shares and mounted volumes send no events. A change counts once it has
stood still from one look to the next, so that a folder which is still being copied is left alone, and one that was
renamed into place is seen once, whole.
"""

import time
from pathlib import Path

from app.modelpack.store import version_folders

Look = dict[str, tuple[int, int]]


class Watch:
    """Compares each look with the one before, and with what was told last."""

    def __init__(self, root: Path, every_s: float = 1.0) -> None:
        """``every_s`` is how often it is to be asked."""
        self.every_s = every_s
        self._root = root
        self._told = self._before = look(root)
        self._next = time.monotonic() + every_s

    def due(self) -> bool:
        """Return whether it is time to look again; true once each time."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self.every_s
        return True

    def changed(self) -> bool:
        """Look, and return whether what is there differs from what it was when this was last true."""
        now = look(self._root)
        still, self._before = now == self._before, now
        if not still or now == self._told:
            return False
        self._told = now
        return True


def look(root: Path) -> Look:
    """Return size and time of each file of each package below ``root``."""
    found: Look = {}
    for folder in version_folders(root):
        found[str(folder)] = (0, 0)
        for path in folder.rglob("*"):
            try:
                stat = path.lstat()
            except OSError:  # gone since
                continue
            found[str(path)] = (stat.st_size, stat.st_mtime_ns)
    return found
