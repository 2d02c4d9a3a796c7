"""The cut sets and their preparations."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import DATA
from training.config import AuxiliarySet, RunConfig
from training.errors import DataError
from training.study import plan as plans
from training.study.material import LATER, ExtraSplit, Material, lay_out, settings_of
from training.study.plan import Comparison

SECOND = AuxiliarySet(name="tiny", split="test", labels=("negative", "positive"), rows_per_epoch=7)


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


@pytest.fixture
def base(plan: Comparison, material: Material) -> RunConfig:
    return plans.job(plan, plan.sets[0], 1, {}, material).config


def test_finished_runs_keep_their_keys(base: RunConfig) -> None:
    # Written down, since ledgers hold such keys. Where this fails because runs can be told something new, name that
    # in LATER; a new key here would have every study's finished runs done again.
    assert Material(Path(), "0" * 16).key(base) == "153ce5d64e975100"


@pytest.mark.parametrize("key", LATER)
def test_a_later_setting_counts_only_where_it_changes_something(base: RunConfig, key: str) -> None:
    assert key not in _dotted(settings_of(base))
    changed = {
        "auxiliary": base.model_copy(update={"auxiliary": (SECOND,)}),
        "loop.auxiliary_lm": base.model_copy(update={"loop": base.loop.model_copy(update={"auxiliary_lm": 0.5})}),
        "model.bigram_rank": base.model_copy(update={"model": base.model.model_copy(update={"bigram_rank": 3})}),
        "ngrams.bayes": base.model_copy(update={"ngrams": base.ngrams.model_copy(update={"bayes": 0.5})}),
    }
    assert key in _dotted(settings_of(changed[key]))


def test_an_added_split_counts_only_for_the_runs_that_read_it(
    plan: Comparison, material: Material, base: RunConfig, tmp_path: Path
) -> None:
    seven, eight = (
        lay_out(plan.sets, [], DATA, tmp_path / str(rows), [ExtraSplit(name="tiny", split="test", rows=rows)])
        for rows in (7, 8)
    )
    reads = base.model_copy(update={"auxiliary": (SECOND,)})
    assert len(rows(seven, "test")) == 7
    assert seven.key(base) == eight.key(base) == material.key(base)
    assert len({seven.key(reads), eight.key(reads), material.key(reads)}) == 3
    assert seven.preparation(reads).root.name != eight.preparation(reads).root.name


def test_what_teachers_say_is_no_part_of_the_preparation(plan: Comparison, material: Material, base: RunConfig) -> None:
    changed = {"distill.teachers": ["first"], "loop.distill_weight": 0.5}
    taught = plans.job(plan, plan.sets[0], 1, changed, material).config
    assert material.preparation(taught) == material.preparation(base)
    assert material.key(taught) != material.key(base)


def _dotted(table: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for key, value in table.items():
        found |= {f"{above}{key}"} | (_dotted(value, f"{above}{key}.") if isinstance(value, dict) else set())
    return found
