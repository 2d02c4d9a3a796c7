"""Packages that summarize are scored through the code that serves them, beside the baselines."""

from pathlib import Path

import pytest

from training.assess import assess, summarizes
from training.errors import DataError

FIXTURES = Path(__file__).parents[1] / "fixtures"
OTHERS, DATA = FIXTURES / "others", FIXTURES / "data"


@pytest.mark.parametrize(
    ("package", "how"), [("tiny-quotes", {"sentences": 1}), ("tiny-summaries", {"kind": "headline"})]
)
def test_figures_stand_beside_those_of_the_baselines(package: str, how: dict[str, object]) -> None:
    found = assess(OTHERS / package, DATA, "tiny-news", "dev", sentences=1, rows=5)

    assert found.items() >= how.items()
    assert found["rows"] == 5
    assert set(found["baselines"]) == {"lead-3", "textrank", "oracle"}
    assert 0 < found["rouge1"] <= 1
    gap = found["rouge1"] - found["baselines"]["lead-3"]["rouge1"]
    assert found["leads_in_points"]["lead-3"]["rouge1"]["value"] == pytest.approx(100 * gap, abs=0.01)


def test_a_set_that_a_package_does_not_know_needs_a_kind(tmp_path: Path) -> None:
    folder = tmp_path / "summarization" / "mine"
    folder.mkdir(parents=True)
    (folder / "dev.jsonl").write_text('{"document": "In Oslo, Ann opens a bridge.", "summary": "Ann opens bridge"}')

    with pytest.raises(DataError, match="mine: tiny-summaries was not made with this set; name one of its kinds"):
        assess(OTHERS / "tiny-summaries", tmp_path, "mine", "dev")
    assert assess(OTHERS / "tiny-summaries", tmp_path, "mine", "dev", kind="headline")["rows"] == 1


def test_classifiers_do_not_summarize() -> None:
    assert summarizes(OTHERS / "tiny-quotes")
    assert not summarizes(OTHERS / "tiny-topic" / "1")
