"""The README's table of results is what the packages' manifests say, to the tenth of a point."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.modelpack.manifest import CLASSIFYING
from app.modelpack.store import latest, open_package
from training.config import load

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(
    path
    for path in (ROOT / "models").iterdir()
    if any(path.glob("*/manifest.json")) and open_package(latest(path)).manifest.task in CLASSIFYING
)


def test_the_readmes_table_is_the_packages_own() -> None:
    shown = re.findall(r"^\| [\w-]+ \| \w+ \| [\d,]+ \| .*\|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert shown == [line for table in ([], ["--summaries"]) for line in printed(*table)]


def printed(*options: str) -> list[str]:
    """Return the rows that the script prints, without their head."""
    command = [sys.executable, str(ROOT / "scripts" / "results-table"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[2:]


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_every_set_was_scored_on_its_test_split_through_the_int8_graph(folder: Path) -> None:
    manifest = open_package(latest(folder)).manifest
    sets = {one.name for one in load(ROOT / "training" / "configs" / f"{folder.name}.toml").sets}
    assert {found.data for found in manifest.evaluation} == sets
    assert {(found.split, found.precision) for found in manifest.evaluation} == {("test", "int8")}
