"""A library that is left out is not there within, and is afterwards."""

import importlib
import sys

import pytest

from app.without import without

LIBRARY = "this"
"""Of the standard library, and imported by nobody."""


def test_a_library_that_is_left_out_is_not_found_within_and_is_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    sys.modules.pop(LIBRARY, None)
    with without(LIBRARY), pytest.raises(ModuleNotFoundError):
        importlib.import_module(LIBRARY)
    assert importlib.import_module(LIBRARY).__name__ == LIBRARY
    assert "Zen" in capsys.readouterr().out


def test_one_that_is_imported_already_stays() -> None:
    with without("sys"):
        assert importlib.import_module("sys") is sys
