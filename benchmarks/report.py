"""Figures in the pages: a command replaces what stands between its two marks, and nothing else.

A mark is a comment, so that it does not show: ``<!-- soak -->figure<!-- /soak -->`` in a line, or each on a line of its
own around a table. What a page's tables are made of stands beside it as JSON, a section a mark.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import facts

README = Path("README.md")
RELIABILITY = Path("docs/reliability.md")
PERFORMANCE = Path("docs/performance.md")
DECODING = Path("docs/decoding.md")

Section = Mapping[str, Any]
"""A run's figures as JSON has them, with ``measured_at`` and ``machine``."""


def publish(page: Path, name: str, figures: Section, shown: Callable[[Section], str]) -> str:
    """Keep a run's figures as the section ``name`` of the page's JSON, show them between its marks, and return that."""
    section = _dated(figures)
    text = shown(section)
    fill(page, name, text)
    _write(page, name, section)
    return text


def keep(page: Path, name: str, figures: Section) -> None:
    """Replace one section of the JSON beside a page, with the time and the machine that it is of."""
    _write(page, name, _dated(figures))


def kept(page: Path) -> dict[str, Any]:
    """Return every section of the JSON beside a page."""
    file = page.with_suffix(".json")
    sections: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return sections


def run_of(section: Section) -> str:
    """Return when and on what a section was measured, for the line above its table."""
    return f"Run of {section['measured_at'][:10]}, {section['machine']['cores']} cores"


def _dated(figures: Section) -> Section:
    return {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": facts(), **figures}


def _write(page: Path, name: str, section: Section) -> None:
    sections = kept(page) | {name: section}
    page.with_suffix(".json").write_text(json.dumps(sections, indent=1) + "\n", "utf-8")


def fill(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->`` in a page.

    Marks on lines of their own keep them. ``ValueError`` where the page has not exactly one such pair.
    """
    before = page.read_text("utf-8")
    page.write_text(filled(before, name, text), "utf-8")


def filled(page: str, name: str, text: str) -> str:
    """Return the text of a page with the figure ``name`` replaced, as ``fill`` does."""
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(first) != 1 or page.count(last) != 1:
        raise ValueError(f"{page.count(first)} of {first} and {page.count(last)} of {last}; expected one of each")
    head, rest = page.split(first)
    old, tail = rest.split(last)
    gap = "\n" if old.startswith("\n") else ""
    body = text.strip("\n") if gap else re.sub(r"\s+", " ", text).strip()
    return f"{head}{first}{gap}{body}{gap}{last}{tail}"


def today() -> str:
    """Return the date that a figure carries."""
    return datetime.now(UTC).date().isoformat()
