"""Figures of baselines that were measured before, one JSON file a set, so that nobody waits for them twice."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from training.errors import RunError
from training.scores import Scores

FOLDER = "baselines"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one baseline measured on one split: its scores, its choices, the CPU seconds for both, each row's label."""

    name: str
    scores: Scores
    rows: int
    choice: Mapping[str, float]
    seconds: float
    decided: Sequence[str]

    def line(self) -> dict[str, Any]:
        """Return the figures as one flat JSON object; the rows belong to the split."""
        return {"name": self.name, **asdict(self.scores), "choice": dict(self.choice), "seconds": self.seconds}

    @classmethod
    def of_line(cls, line: Mapping[str, Any]) -> Self:
        """Read what `line` gave, with what `Kept` writes beside it."""
        scores = Scores(line["accuracy"], line["macro_f1"], line["macro_recall"])
        return cls(line["name"], scores, line["rows"], line["choice"], line["seconds"], _unpacked(line))


class Kept:
    """The figures kept in a folder, by set, split and baseline; one whose key has changed counts as not there.

    The key is a hash of rows and settings, so that a figure never outlives what it was measured on.
    """

    def __init__(self, folder: Path, *, reuse: bool = True) -> None:
        self._folder = folder
        self._reuse = reuse

    def get(self, data: str, split: str, name: str, key: str) -> Figures | None:
        """Return the figures, or `None` where there are none under this key, or none are to be used again."""
        if not self._reuse:
            return None
        line = self._read(data).get(split, {}).get(name)
        # Figures without decisions were kept by an earlier release.
        return Figures.of_line(line) if line and line["key"] == key and "decided" in line else None

    def put(self, data: str, split: str, key: str, figures: Figures) -> None:
        """Keep the figures, in place of older ones; another process may be reading the file."""
        lines = self._read(data)
        lines.setdefault(split, {})[figures.name] = figures.line() | {
            "rows": figures.rows,
            "key": key,
            **_packed(figures.decided),
        }
        path = self._path(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)

    def _path(self, data: str) -> Path:
        return self._folder / f"{data}.json"

    def _read(self, data: str) -> dict[str, dict[str, Any]]:
        path = self._path(data)
        if not path.exists():
            return {}
        try:
            lines: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise RunError(f"{path}: not JSON ({error}); delete it and the figures are measured again") from error
        return lines


def _packed(decided: Sequence[str]) -> dict[str, Any]:
    """Return one line for the labels of thousands of rows: their numbers among `labels`."""
    labels = sorted(set(decided))
    number = {label: str(at) for at, label in enumerate(labels)}
    return {"labels": labels, "decided": " ".join(number[label] for label in decided)}


def _unpacked(line: Mapping[str, Any]) -> list[str]:
    return [line["labels"][int(number)] for number in line["decided"].split()]
