"""Quoting baselines are measured by ROUGE on a split and told as table and JSON."""

import json
from pathlib import Path

import pytest

from training.baselines.summaries import measure, record, table
from training.errors import DataError

ROWS = [
    {"document": "The dam broke. People fled. Nobody was hurt.", "summary": "The dam broke."},
    {"document": "It rained. The match was called off. Fans left.", "summary": "The match was called off."},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "summarization" / "aeslc"
    folder.mkdir(parents=True)
    (folder / "dev.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return tmp_path


def test_the_oracle_bounds_the_lead(data: Path) -> None:
    found = measure(data, "aeslc", "dev")

    assert found.lead.name == "lead-1"
    assert found.lead.rouge.r1 == pytest.approx(0.5, abs=0.1)
    assert found.of("oracle").rouge.r1 == 1.0
    assert found.of("lead-1").tokens == pytest.approx(2.5)


def test_json_and_table_tell_the_same(data: Path) -> None:
    found = measure(data, "aeslc", "dev", only=["lead-1", "oracle"])

    told = record(found)
    assert [one["name"] for one in told["baselines"]] == ["lead-1", "oracle"]
    assert told["rows"] == 2
    assert told["baselines"][1]["r1"] == 100.0
    assert table(found).splitlines()[-1].split()[:4] == ["oracle", "100.00", "100.00", "100.00"]


def test_an_unknown_baseline_is_named(data: Path) -> None:
    with pytest.raises(DataError, match="no baseline 'lead-9' for aeslc; there are lead-1, lead-2"):
        measure(data, "aeslc", "dev", only=["lead-9"])
