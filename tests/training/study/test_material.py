"""The cut sets and their preparations."""

import json
from pathlib import Path

import pytest

from tests.training.conftest import DATA
from training.errors import DataError
from training.study import plan as plans
from training.study.material import ExtraSplit, Material, lay_out
from training.study.plan import Comparison


def rows(material: Material, split: str) -> list[str]:
    text = (material.data / "sentiment" / "tiny" / f"{split}.jsonl").read_text("utf-8")
    return [json.loads(line)["text"] for line in text.splitlines()]


def test_the_cut_rows_are_spread_over_the_whole_file(material: Material) -> None:
    whole = [
        json.loads(line)["text"] for line in (DATA / "sentiment" / "tiny" / "train.jsonl").read_text().splitlines()
    ]
    kept = rows(material, "train")
    assert len(kept) == 120
    assert (kept[0], kept[-1]) == (whole[0], whole[-1])
    places = [whole.index(text) for text in kept]
    assert len(rows(material, "dev")) == 60
    assert len(set(places)) > 100


def test_the_test_split_is_never_laid_out(material: Material) -> None:
    assert sorted(path.name for path in material.data.rglob("*.jsonl")) == ["dev.jsonl", "train.jsonl"]


def test_an_extra_split_lies_beside_the_sets(plan: Comparison, tmp_path: Path) -> None:
    found = lay_out(plan.sets, [ExtraSplit(name="tiny", split="test", rows=7)], DATA, tmp_path)
    assert len(rows(found, "test")) == 7


def test_more_rows_than_there_are_is_refused(plan: Comparison, tmp_path: Path) -> None:
    many = plan.sets[0].model_copy(update={"dev_rows": 91})
    with pytest.raises(DataError, match=r"dev\.jsonl: 90 rows, fewer than the 91"):
        lay_out([many], [], DATA, tmp_path)


def test_the_digest_follows_the_rows(plan: Comparison, material: Material, tmp_path: Path) -> None:
    assert lay_out(plan.sets, [], DATA, tmp_path / "again").digest == material.digest
    fewer = plan.sets[0].model_copy(update={"train_rows": 119})
    assert lay_out([fewer], [], DATA, tmp_path / "fewer").digest != material.digest


def test_runs_that_read_the_same_share_a_preparation(plan: Comparison, material: Material) -> None:
    def prepared(seed: int, **changed: int) -> Path:
        overrides = {key.replace("__", "."): value for key, value in changed.items()}
        return material.prepare(plans.job(plan, plan.sets[0], seed, overrides, material).config).root

    assert prepared(1) == prepared(2, model__hidden=5, loop__epochs=1)
    assert prepared(1) != prepared(1, tokenizer__vocab_size=300)
    assert len(list((material.root / "prepared").iterdir())) == 2
