"""What is done of a run, on disk: parts that are complete, and from what they were made.

    out.parquet.parts/run.json        what run this is; another one is refused
    out.parquet.parts/000000.part     the output of some rows, 000000.bad those of them that have none
    out.parquet.parts/000000.done     how many rows; written last, so that without it the part is as good as not there

Every file is written beside its place, synced, and put there in one step: a kill at any moment leaves whole files.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from app.errors import StartupError


@dataclass(frozen=True, slots=True)
class Done:
    """One part: rows it took in, and how many of them are bad."""

    rows: int
    bad: int


class Journal:
    """The parts of one output."""

    def __init__(self, out: Path, run: dict[str, Any]) -> None:
        """``run`` says what is made from what, as JSON; nothing is written yet."""
        self._out = out
        self._run = run
        self.folder = out.with_name(out.name + ".parts")
        self.parts: list[Done] = []

    @property
    def bad_file(self) -> Path:
        """Where the bad rows go."""
        return self._out.with_name(self._out.name + ".bad.jsonl")

    @property
    def rows(self) -> int:
        """Rows done."""
        return sum(done.rows for done in self.parts)

    @property
    def bad(self) -> int:
        """Rows done that have no answer."""
        return sum(done.bad for done in self.parts)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the parts against other processes; find those that are there, of this same run."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as broken:
            raise StartupError(f"{self.folder} cannot be written: {broken.strerror}") from broken
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as taken:
                raise StartupError(f"another process writes {self._out}; expected one at a time") from taken
            self._claim()
            self.parts = list(self._found())
            yield

    def add(self, part: bytes, bad: bytes, done: Done) -> None:
        """Put a further part in place."""
        at = len(self.parts)
        _put(self._path(at, "part"), part)
        _put(self._path(at, "bad"), bad)
        _put(self._path(at, "done"), orjson.dumps([done.rows, done.bad]))
        self.parts.append(done)

    def files(self, kind: str) -> list[Path]:
        """Return the parts' files of a kind, in order."""
        return [self._path(at, kind) for at in range(len(self.parts))]

    def finish(self, whole: Path) -> None:
        """Put ``whole``, a file in the folder, in the output's place, the bad rows beside it, and forget the parts."""
        _sync(whole)
        if self.bad:
            bad = self.folder / "bad"
            with bad.open("wb") as file:
                for part in self.files("bad"):
                    file.write(part.read_bytes())
            _sync(bad)
            bad.replace(self.bad_file)
        else:
            self.bad_file.unlink(missing_ok=True)
        whole.replace(self._out)
        _sync_folder(self._out.parent)
        shutil.rmtree(self.folder)

    def _claim(self) -> None:
        path, mine = self.folder / "run.json", orjson.dumps(self._run, option=orjson.OPT_SORT_KEYS)
        if not path.exists():
            _put(path, mine)
            return
        theirs, ours = orjson.loads(path.read_bytes()), orjson.loads(mine)
        for name, value in ours.items():
            if theirs.get(name) != value:
                raise StartupError(
                    f"{self.folder} has parts of another run: {name} was {theirs.get(name)!r} and is {value!r}; "
                    "expected the same, or --restart to begin anew"
                )

    def _found(self) -> Iterator[Done]:
        at = 0
        while (path := self._path(at, "done")).exists():
            yield Done(*orjson.loads(path.read_bytes()))
            at += 1

    def _path(self, at: int, kind: str) -> Path:
        return self.folder / f"{at:06}.{kind}"


def _put(path: Path, raw: bytes) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(raw)
    _sync(beside)
    beside.replace(path)
    _sync_folder(path.parent)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
