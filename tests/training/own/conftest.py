"""One package made of one small table, for every test that wants to look at it."""

from pathlib import Path

import pytest

from tests.training.own.tables import COLUMNS, delimited, rows, written
from training.own.make import Made, Request, make
from training.own.table import Form

TABLE = "My Meals (2026).csv"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the table, the run and the package lie."""
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="session")
def said() -> list[str]:
    """Return what was said on the way, once `made` is there."""
    return []


@pytest.fixture(scope="session")
def made(folder: Path, said: list[str]) -> Made:
    """Return what one command makes of 150 rows."""
    table = written(folder / TABLE, delimited(rows(150)))
    return make(Request(table, Form(*COLUMNS), models=folder / "models", runs=folder / "runs"), said.append)
