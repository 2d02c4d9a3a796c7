"""Figures in the pages: a command replaces what stands between its two marks, and nothing else.

A mark is a comment, so that it does not show: ``<!-- soak -->figure<!-- /soak -->`` in a line, or each on a line of its
own around a table.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

RELIABILITY = Path("docs/reliability.md")
PERFORMANCE = Path("docs/performance.md")


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
