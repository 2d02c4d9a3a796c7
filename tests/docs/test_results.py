"""The README's table of results is the model card's, to the tenth of a point."""

import re
from pathlib import Path

from app.modelpack.manifest import Evaluation
from app.modelpack.store import latest, open_package
from training.config import load

ROOT = Path(__file__).parents[2]
MANIFEST = open_package(latest(ROOT / "models" / "sentiment-en")).manifest
FIGURES = {one.name: one.metric for one in load(ROOT / "training" / "configs" / "sentiment-en.toml").sets}


def row(found: Evaluation) -> str:
    figure = FIGURES[found.data]
    ours, theirs = (100 * figures[figure] for figures in (found.metrics, found.baseline))
    name = figure.replace("_", "-").replace("f1", "F1")
    return f"| {found.data} | {found.rows:,} | {name} | {ours:.1f} | {theirs:.1f} | {ours - theirs:+.1f} |"


def test_the_readmes_table_is_the_packages_own() -> None:
    shown = re.findall(r"^\| \w+ \| [\d,]+ \| .*\|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert shown == [row(found) for found in MANIFEST.evaluation]


def test_every_set_was_scored_on_its_test_split_through_the_int8_graph() -> None:
    assert {found.data for found in MANIFEST.evaluation} == set(FIGURES)
    assert {(found.split, found.precision) for found in MANIFEST.evaluation} == {("test", "int8")}
