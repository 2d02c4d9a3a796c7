"""The pages of studies are what their kept figures render: neither is changed without the other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from training.study import results, search_page, tables

DOCS = Path(__file__).parents[2] / "docs"


def ablation(kept: Path) -> str:
    return tables.ablation_page(results.read(kept))


def cells(kept: Path) -> str:
    return tables.cells_page(results.read(kept))


def search(kept: Path) -> str:
    return search_page.page(search_page.read(kept))


@pytest.mark.parametrize(
    ("page", "kept", "render"),
    [
        ("ablation.md", "ablation/results.json", ablation),
        ("cells-compared.md", "ablation/results.json", cells),
        ("search.md", "search/results.json", search),
    ],
    ids=["ablation", "cells", "search"],
)
def test_a_studys_page_is_the_one_that_its_figures_render(page: str, kept: str, render: Callable[[Path], str]) -> None:
    shown = (DOCS / page).read_text("utf-8") if (DOCS / page).exists() else None
    wanted = render(DOCS / kept) if (DOCS / kept).exists() else None
    assert shown == wanted
