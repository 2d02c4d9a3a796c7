"""The run that a table asks for."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.own.tables import rows
from training import config
from training.own.examples import Example
from training.own.faults import Place
from training.own.recipe import About, recipe, toml
from training.own.split import Part

ABOUT = About("my", 3, "classify", ("en",), ("1", "3", "5"), 'my "own".csv', "sluice-train train", 7)


def parts(train: list[tuple[str, str]], dev: int = 9) -> dict[Part, list[Example]]:
    made = [Example(Place(at, at), text, label) for at, (text, label) in enumerate(train, 2)]
    return {"train": made, "dev": made[:dev], "test": made[:dev]}


def test_a_recipe_written_as_toml_is_read_back_the_same(tmp_path: Path) -> None:
    run = recipe(ABOUT, parts(rows(90)), normalization=1)
    path = tmp_path / "config.toml"
    path.write_text(toml(run), "utf-8")
    assert config.load(path) == run


@pytest.mark.parametrize("label", ["a\x7fb", 'qu"ote\\', "新闻", "🎈"])
def test_any_label_survives_toml(tmp_path: Path, label: str) -> None:
    run = recipe(ABOUT, parts(rows(90)), normalization=1).model_copy(update={"labels": ("1", label)})
    path = tmp_path / "config.toml"
    path.write_text(toml(run), "utf-8")
    assert config.load(path).labels == ("1", label)


def test_more_rows_get_a_larger_network_and_fewer_epochs() -> None:
    small, large = (recipe(ABOUT, parts(rows(count)), normalization=1) for count in (90, 3000))
    assert small.model.hidden < large.model.hidden
    assert small.loop.epochs > large.loop.epochs
    assert small.model.ngram_buckets < large.model.ngram_buckets


def test_long_texts_get_more_tokens() -> None:
    long = [(f"{text} " * 30, label) for text, label in rows(90)]
    short, run = (recipe(ABOUT, parts(one), normalization=1) for one in (rows(90), long))
    assert short.tokenizer.max_tokens == 128
    assert run.tokenizer.max_tokens == 1024
    assert run.loop.max_train_tokens == 256


def test_chinese_is_counted_and_spelt_by_characters() -> None:
    chinese = [(f"第{at}天的饭菜" * 12, label) for at, (_, label) in enumerate(rows(90))]
    run = recipe(ABOUT, parts(chinese), normalization=2)
    assert (run.tokenizer.normalization, run.tokenizer.alphabet) == (2, 7000)
    assert run.tokenizer.max_tokens == 256


def test_unbalanced_classes_are_chosen_by_macro_f1() -> None:
    even = recipe(ABOUT, parts(rows(90)), normalization=1).sets[0]
    uneven = recipe(ABOUT, parts([*rows(30), *((f"fine {at}", "3") for at in range(60))]), normalization=1).sets[0]
    assert (even.metric, even.train[0].balance) == ("accuracy", 0.0)
    assert (uneven.metric, uneven.train[0].balance) == ("macro_f1", 0.5)


def test_two_near_ties_on_a_small_dev_split_do_not_refuse_a_package() -> None:
    assert recipe(ABOUT, parts(rows(90), dev=5), normalization=1).gates.int8_agreement == pytest.approx(0.6)
    assert recipe(ABOUT, parts(rows(900), dev=90), normalization=1).gates.int8_agreement == pytest.approx(0.97)


def test_many_classes_get_fewer_buckets_each() -> None:
    hundreds = replace(ABOUT, labels=tuple(map(str, range(500))))
    assert recipe(ABOUT, parts(rows(9000)), normalization=1).model.ngram_buckets == 2**18
    assert recipe(hundreds, parts(rows(9000)), normalization=1).model.ngram_buckets == 2**12
