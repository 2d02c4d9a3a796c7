"""What a study's runs read: its sets cut down to size, and one preparation for all runs that can share it.

The cut sets are written out in the form of any other data folder, so that a study's run is an ordinary run. A set's
test split is never among them: a study cannot score on test.
"""

import hashlib
import json
import lzma
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from training.config import Metric, RunConfig
from training.data import FOLDER, file_of
from training.errors import DataError
from training.fields import Name, Positive
from training.paths import RunPaths
from training.prepare import DEV, prepare

# What a preparation does not depend on. Anything else, known today or not, makes another preparation.
NOT_PREPARED = {"name", "version", "summary", "limits", "seed", "model", "distill", "ngrams", "loop", "blend", "gates"}

# Settings that joined a run's schema when studies had runs already, with the value under which nothing has changed.
# They are left out where they have it: the finished runs would be done again otherwise. A new setting goes here.
LATER: dict[str, Any] = {"auxiliary": [], "loop.auxiliary_lm": 0.0, "model.bigram_rank": 0, "ngrams.bayes": 0.0}


class Strict(BaseModel):
    """A table of a study's file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class StudySet(Strict):
    """A labelled set that runs train and are scored on: `train_rows` of its `split`, `dev_rows` of its dev split.

    `balance` is that of its training part (see `TrainPart`); `settings` are overrides of the base that its
    language asks for.
    """

    name: Name
    language: str
    labels: tuple[str, ...] = Field(min_length=2)
    metric: Metric
    split: str = "train"
    train_rows: Positive
    dev_rows: Positive
    balance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    source: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)


class ExtraSplit(Strict):
    """A split that only some of the runs read: text without labels, or a second task's."""

    name: Name
    split: str
    rows: Positive


@dataclass(frozen=True, slots=True)
class Material:
    """The folder of a study: the cut data, the preparations made of them, and digests of the data.

    `added` are the digests of the splits that count only where they are read.
    """

    root: Path
    digest: str
    added: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The cut sets, in the form that `SLUICE_DATA` has."""
        return self.root / "data"

    def preparation(self, config: RunConfig) -> RunPaths:
        """Return where the preparation of a config's data lies; it need not be there yet."""
        settings = {key: value for key, value in settings_of(config).items() if key not in NOT_PREPARED}
        return RunPaths(self.root / "prepared" / fingerprint({"settings": settings, "data": self._read_by(config)}))

    def key(self, config: RunConfig) -> str:
        """Return what stands for a run: all its settings and its data, and nothing else."""
        return fingerprint({"config": settings_of(config), "data": self._read_by(config)})

    def prepare(self, config: RunConfig) -> RunPaths:
        """Make a config's preparation unless it is there."""
        paths = self.preparation(config)
        if not paths.root.exists():
            # Renamed into place when whole, so that a killed preparation is not taken for a finished one.
            draft = RunPaths(paths.root.with_name(f"{paths.root.name}.{os.getpid()}"))
            prepare(config, self.data, draft, lambda _: None)
            try:
                draft.root.rename(paths.root)
            except OSError:
                # Another process of the study was faster, with the same result.
                shutil.rmtree(draft.root)
        return paths

    def _read_by(self, config: RunConfig) -> str:
        texts = config.pretrain.texts if config.pretrain else ()
        read = {(one.name, one.split) for one in texts} | {(one.name, one.split) for one in config.auxiliary}
        added = [self.added[one] for one in sorted(read & self.added.keys())]
        return fingerprint([self.digest, *added]) if added else self.digest


def settings_of(config: RunConfig) -> dict[str, Any]:
    """Return a run's settings as JSON has them, without those of `LATER` that change nothing."""
    settings = config.model_dump(mode="json")
    for key, silent in LATER.items():
        *way, last = key.split(".")
        table = settings
        for part in way:
            table = table[part]
        if table[last] == silent:
            del table[last]
    return settings


def fingerprint(value: object) -> str:
    """Return sixteen hexadecimal digits that stand for a JSON value."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def lay_out(
    sets: Sequence[StudySet], extra: Sequence[ExtraSplit], data: Path, root: Path, added: Sequence[ExtraSplit] = ()
) -> Material:
    """Write the cut splits below `root`; `DataError` where a split is missing or has fewer rows than asked for.

    Sets and `extra` make the one digest that is in every run's key; each of `added` has its own.
    """
    wanted = {(one.name, one.split): one.train_rows for one in sets}
    wanted |= {(one.name, DEV): one.dev_rows for one in sets}
    wanted |= {(one.name, one.split): one.rows for one in extra}
    digest = hashlib.sha256()
    for (name, split), rows in sorted(wanted.items()):
        digest.update(_cut(name, split, rows, data, root))
    alone = {
        (one.name, one.split): hashlib.sha256(_cut(one.name, one.split, one.rows, data, root)).hexdigest()[:16]
        for one in added
    }
    return Material(root, digest.hexdigest()[:16], alone)


def _cut(name: str, split: str, rows: int, data: Path, root: Path) -> bytes:
    """Write one cut split; return its name, length and lines, for a digest."""
    lines = b"".join(_spread(file_of(data, name, split), rows))
    path = root / "data" / FOLDER / name / f"{split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines)
    return f"{name}/{split}:{len(lines)}\n".encode() + lines


def _spread(path: Path, rows: int) -> list[bytes]:
    """Return `rows` lines spread evenly over the file, which may be sorted by label or source."""
    raw = path.read_bytes()
    lines = (lzma.decompress(raw) if path.suffix == ".xz" else raw).splitlines(keepends=True)
    if len(lines) < rows:
        raise DataError(f"{path}: {len(lines)} rows, fewer than the {rows} that the study asks for")
    return [lines[int(at)] for at in np.linspace(0, len(lines) - 1, rows).round()]
