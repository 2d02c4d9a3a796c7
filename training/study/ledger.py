"""What a study has done so far: one JSON line a run, appended as it ends; a kill loses only what was running."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.study.runner import Outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """How one job ended: with an outcome, or with the reason why there is none."""

    key: str
    outcome: Outcome | None
    reason: str = ""


class Ledger:
    """The entries by key, in memory and in a file; a job done again replaces its earlier entry."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = {}
        if path.exists():
            text = path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]
            if whole != text:
                # A kill cut off the last line; what is appended next must not run into it.
                path.write_text(whole, encoding="utf-8")
            for line in whole.splitlines():
                entry = _read(json.loads(line))
                self._entries[entry.key] = entry

    def add(self, entry: Entry) -> None:
        """Keep an entry, on disk before anything else happens."""
        self._entries[entry.key] = entry
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(entry)) + "\n")

    def get(self, key: str) -> Entry | None:
        """Return how a job ended, if it did."""
        return self._entries.get(key)

    def finished(self, key: str) -> bool:
        """Say whether a job has its outcome; one that failed has not, and is tried again."""
        entry = self._entries.get(key)
        return entry is not None and entry.outcome is not None


def _read(found: dict[str, Any]) -> Entry:
    outcome = found["outcome"]
    return Entry(found["key"], Outcome(**outcome) if outcome else None, found["reason"])
