"""The tiny comparison, planned."""

from pathlib import Path

import pytest

from tests.training.conftest import DATA, FIXTURES
from training.study import plan as plans
from training.study.material import Material, lay_out
from training.study.plan import Comparison

COMPARE = FIXTURES / "configs" / "compare.toml"


@pytest.fixture(scope="session")
def plan() -> Comparison:
    """Return the tiny comparison."""
    return plans.load(COMPARE)


@pytest.fixture
def material(plan: Comparison, tmp_path: Path) -> Material:
    """Return its sets, cut to size."""
    return lay_out(plan.sets, plan.extra, DATA, tmp_path / "study")
