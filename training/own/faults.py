"""What is wrong with a user's file: every fault is found, the first few are shown, each with its row and the reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.errors import DataError

SHOWN = 10


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a row stands: its number in a spreadsheet, and its first line as `sed -n` counts, where that differs."""

    row: int
    line: int

    def __str__(self) -> str:
        return f"row {self.row}" if self.row == self.line else f"row {self.row} (line {self.line})"


@dataclass(slots=True)
class Faults:
    """The faults of one file: of single rows, which can be left out, and of the whole; and advice on mending them."""

    path: Path
    rows: list[tuple[Place, str, str]] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def row(self, place: Place, kind: str, reason: str) -> None:
        """Note what is wrong with one row."""
        self.rows.append((place, kind, reason))

    def file(self, reason: str) -> None:
        """Note what leaving out rows would not mend."""
        self.whole.append(reason)

    def left_out(self) -> dict[str, int]:
        """Return how many rows are at fault, by kind, the most first."""
        return dict(Counter(kind for _, kind, _ in self.rows).most_common())

    def lines(self) -> list[str]:
        """Return a line for each fault: the whole first, then rows in file order."""
        return [*self.whole, *(f"{place}: {reason}" for place, _, reason in sorted(self.rows))]


def refuse(files: Sequence[Faults], *, skip_bad: bool) -> None:
    """Raise `DataError` with the faults of all files; with `skip_bad`, only where rows are not all that is wrong."""
    bad = [one for one in files if one.whole or (one.rows and not skip_bad)]
    if not bad:
        return
    lines = [line for one in bad for line in (*_shown(one), *one.advice)]
    rows = sum(len(one.rows) for one in bad)
    if rows and not skip_bad:
        lines.append(f"Put {'it' if rows == 1 else 'them'} right, or leave out bad rows with --skip-bad.")
    raise DataError("\n".join(lines))


def _shown(faults: Faults) -> list[str]:
    lines = faults.lines()
    if len(lines) == 1:
        return [f"{faults.path}: {lines[0]}"]
    shown = [f"{faults.path}: {len(lines)} problems", *(f"  {line}" for line in lines[:SHOWN])]
    return shown if len(lines) <= SHOWN else [*shown, f"  and {len(lines) - SHOWN} more"]
