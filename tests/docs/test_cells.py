"""docs/cells.md shows what `sluice-train cells` prints and writes, and code that stands in the module."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from tests.server import ROOT
from training.cli import app

PAGE = (ROOT / "docs" / "cells.md").read_text("utf-8")
CODE = (ROOT / "training" / "models" / "cells.py").read_text("utf-8")
NUMBER = re.compile(r"[+-]?\d+\.\d+(?:e[+-]\d+)?")
ADVICE = "run `sluice-train cells --out docs/cells` and bring the page up to date"


@dataclass(frozen=True)
class Ended:
    """What the verb printed and where it wrote."""

    printed: str
    out: Path


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Return one run of the verb."""
    out = tmp_path_factory.mktemp("docs") / "cells"
    result = CliRunner().invoke(app, ["cells", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return Ended(result.stdout, out)


def same(shown: str, printed: str, *, share: float, amount: float) -> None:
    """Compare two texts, numbers as numbers: another processor may round the last digit otherwise."""
    assert NUMBER.sub("0", shown) == NUMBER.sub("0", printed), ADVICE
    found, wanted = ([float(one) for one in NUMBER.findall(text)] for text in (shown, printed))
    assert found == pytest.approx(wanted, rel=share, abs=amount), ADVICE


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


def figures(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, np.array(rows, dtype=np.float64)


def test_the_sentence_runs_as_the_page_shows_it(ended: Ended) -> None:
    walk = ended.printed.partition("\n\n| cell")[0]
    assert walk.count("画") == 6
    same("\n\n".join(blocks("text")), walk, share=0, amount=0.0011)


def test_the_norms_are_those_of_the_page(ended: Ended) -> None:
    table = re.findall(r"^\|.*\|$", ended.printed, re.MULTILINE)
    assert len(table) == 2 + 8
    same("\n".join(re.findall(r"^\|.*\|$", PAGE, re.MULTILINE)), "\n".join(table), share=0.06, amount=0)


def test_the_norms_behind_the_committed_plot_are_those_of_this_run(ended: Ended) -> None:
    head, shown = figures(ROOT / "docs" / "cells" / "gradients.csv")
    names, written = figures(ended.out / "gradients.csv")
    assert head == names
    explodes = np.array([name == "RNN, U of norm 2" for name in names])
    np.testing.assert_allclose(shown[:, ~explodes], written[:, ~explodes], rtol=0.001)
    # A tenth, because this case multiplies rounding errors too, which differ with the number of threads.
    np.testing.assert_allclose(shown[:, explodes], written[:, explodes], rtol=0.1)


def test_the_plot_is_written(ended: Ended) -> None:
    signature = b"\x89PNG\r\n"
    for folder in (ended.out, ROOT / "docs" / "cells"):
        assert (folder / "gradients.png").read_bytes().startswith(signature)


def test_each_factor_in_the_text_is_one_of_the_table() -> None:
    factors = set(re.findall(r"^\| (?:RNN|LSTM|GRU).* (\d\.\d\d) \|$", PAGE, re.MULTILINE))
    told = set(re.findall(r"(\d\.\d\d)(?:\s+and\s+\d\.\d\d)?\s+a\s+step", PAGE))
    assert len(told) >= 5
    assert told <= factors


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.strip().splitlines()[0].strip())
def test_the_code_shown_stands_in_the_module(block: str) -> None:
    assert block in CODE
