"""Imports that leave out an optional library."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(library: str) -> Iterator[None]:
    """Have modules that are imported within find ``library`` not installed, unless it has been imported already."""
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment]  # the import system knows None, typeshed does not
    try:
        yield
    finally:
        del sys.modules[library]
