"""One figure beside what it is held to, and a table of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, its unit, and what it is held to: at least or at most so much. No value: not measured."""

    name: str
    value: float | None
    unit: str
    target: float
    at_most: bool = False

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Figure":
        """Return the figure that JSON has kept."""
        return cls(**kept)

    @property
    def met(self) -> bool:
        """Whether it is measured, and what it should be."""
        if self.value is None:
            return False
        return self.value <= self.target if self.at_most else self.value >= self.target

    @property
    def row(self) -> str:
        """Return a row of the table."""
        target = f"{'<=' if self.at_most else '>='} {self.target:g} {self.unit}"
        if self.value is None:
            return f"| {self.name} | - | {target} | not measured |"
        return f"| {self.name} | {_shown(self.value)} {self.unit} | {target} | {'met' if self.met else '**missed**'} |"


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as Markdown."""
    return "\n".join(["| figure | measured | target | |", "|---|---|---|---|", *(one.row for one in figures)])


def _shown(value: float) -> str:
    """Return three digits of a number, or all of those before its point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
