"""One table to one package."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.modelpack.store import open_package
from tests.training.own.conftest import TABLE
from tests.training.own.tables import COLUMNS, delimited, json_lines, rows, written
from training.data import read_split
from training.errors import DataError, RunError
from training.own.make import Made, Request, make, name_of, read
from training.own.table import Form

FORM = Form(*COLUMNS)


def silent(_: str) -> None:
    return


def request(folder: Path, raw: bytes, **changes: object) -> Request:
    table = written(folder / TABLE, raw)
    made = Request(table, FORM, models=folder / "models", runs=folder / "runs")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_table_becomes_a_package_with_the_files_name(made: Made, folder: Path) -> None:
    assert made.package == folder / "models" / "my-meals-2026" / "1"
    manifest = open_package(made.package).manifest
    assert (manifest.task, manifest.labels, manifest.languages) == ("classify", ["1", "3", "5"], ["en"])
    assert made.evaluation.rows == 15
    assert made.evaluation.metrics["accuracy"] >= 0.9


def test_it_says_what_it_read_split_and_found(made: Made, said: list[str]) -> None:
    assert said[0].endswith("My Meals (2026).csv: 150 rows")
    assert said[1:4] == [
        "classes: 1 50, 3 50, 5 50",
        "split: train 120, dev 15, test 15 (dev and test cut off by seed 13)",
        "language: en (by script: en 100% of the rows with letters); normalization 1",
    ]
    assert made.evaluation.baseline.keys() >= {"accuracy", "macro_f1"}


def test_it_ends_with_the_figures_and_the_two_commands(made: Made, folder: Path) -> None:
    first, second, ours, *theirs, serve, serving, ask, asking = str(made).splitlines()
    assert first.startswith(f"made {folder}/models/my-meals-2026/1 in ")
    assert second == "on the 15 rows of test, in per cent:"
    assert ours.split()[:2] == ["my-meals-2026", "accuracy"]
    assert "baseline LR" in theirs[0]
    assert (serve, serving) == ("serve it:", f"    sluice serve --models-dir {folder}/models")
    assert ask == "ask it:"
    assert asking.startswith('    curl -s http://127.0.0.1:8000/v1/classify -d \'{"inputs": "the ')


def test_the_card_names_the_file_and_the_command_and_holds_no_path(made: Made, folder: Path) -> None:
    card = (made.package / "README.md").read_text("utf-8")
    assert "| my-meals-2026: My Meals (2026).csv, its owner's labels |" in card
    assert "| the file My Meals (2026).csv | its owner's |" in card
    assert "    sluice-train train --task classify --data 'My Meals (2026).csv' --text-column review " in card
    assert str(folder) not in (made.package / "manifest.json").read_text("utf-8") + card


def test_a_finished_run_taken_up_again_makes_the_same_package(made: Made, folder: Path) -> None:
    said: list[str] = []
    again = make(request(folder, delimited(rows(150))), said.append)
    assert any(line.startswith("going on with the run in") for line in said)
    assert again.package == made.package
    assert again.evaluation == made.evaluation


def test_other_rows_make_the_next_version(made: Made, folder: Path, tmp_path: Path) -> None:
    del made
    copied = Path(shutil.copytree(folder, tmp_path / "copied"))
    again = make(request(copied, delimited(rows(140))), silent)
    assert again.package == copied / "models" / "my-meals-2026" / "2"
    assert (again.package.parent / "1" / "manifest.json").exists()


def test_a_tenth_each_is_held_out(tmp_path: Path) -> None:
    parts = read(request(tmp_path, delimited(rows(60))), silent)
    assert {name: len(part) for name, part in parts.items()} == {"train": 48, "dev": 6, "test": 6}


def test_the_split_is_written_where_evaluate_finds_it(made: Made, folder: Path) -> None:
    del made
    data = folder / "runs" / "my-meals-2026" / "data"
    labels = ("1", "3", "5")
    assert [len(read_split(data, "my-meals-2026", name, labels)) for name in ("train", "dev", "test")] == [120, 15, 15]


def test_splits_of_ones_own_are_kept_and_what_they_share_is_refused(tmp_path: Path) -> None:
    test = written(tmp_path / "test.jsonl", json_lines(rows(30)))
    given = request(tmp_path, delimited(rows(150)[20:]), test=test)
    with pytest.raises(DataError) as refused:
        read(given, silent)
    lines = str(refused.value).splitlines()
    assert lines[0].endswith("My Meals (2026).csv: 10 problems")
    assert lines[1] == f"  row 2: its text is also in {test}, row 21"
    parts = read(replace(given, skip_bad=True), silent)
    assert {name: len(part) for name, part in parts.items()} == {"train": 108, "dev": 12, "test": 30}


def test_a_class_that_is_only_in_the_test_file_is_named(tmp_path: Path) -> None:
    test = written(tmp_path / "test.jsonl", json_lines([("a new one", "7"), ("another", "1"), ("a third", "3")]))
    with pytest.raises(DataError, match=r"test\.jsonl: row 1: '7' is a class of no row of .*My Meals"):
        read(request(tmp_path, delimited(rows(60)), test=test), silent)


def test_a_test_file_of_one_class_is_refused(tmp_path: Path) -> None:
    test = written(tmp_path / "test.jsonl", json_lines([("a new one", "1"), ("another", "1")]))
    with pytest.raises(DataError, match=r"test\.jsonl: one class alone, '1'"):
        read(request(tmp_path, delimited(rows(60)), test=test), silent)


def test_faults_of_every_file_are_told_at_once(tmp_path: Path) -> None:
    test = written(tmp_path / "test.csv", delimited([("", "1"), ("fine", "3"), ("bad", "1")]))
    with pytest.raises(DataError) as refused:
        read(request(tmp_path, delimited([*rows(60), ("fine meal", "")]), test=test), silent)
    assert "My Meals (2026).csv: row 62: 'stars' is empty" in str(refused.value)
    assert "test.csv: row 2: 'review' is empty" in str(refused.value)


def test_rows_left_out_are_counted_by_what_is_wrong(tmp_path: Path) -> None:
    said: list[str] = []
    bad = [("", "1"), ("", "3"), ("fine meal", ""), ("same", "1"), ("same", "5")]
    read(request(tmp_path, delimited([*rows(60), *bad]), skip_bad=True), said.append)
    assert said[0].endswith(": 60 rows; left out 5: 2 empty text, 2 contradiction, 1 no label")


def test_sentiment_wants_the_labels_it_knows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'1' is no label of sentiment; expected one of .*; or give --task classify"):
        read(request(tmp_path, delimited(rows(60)), task="sentiment"), silent)


def test_classes_that_differ_in_case_are_noted(tmp_path: Path) -> None:
    said: list[str] = []
    named = [(text, label.replace("1", "Bad").replace("3", "bad")) for text, label in rows(60)]
    read(request(tmp_path, delimited(named)), said.append)
    assert "note: the classes 'Bad', 'bad' differ only in case, and are taken for distinct" in said


def test_one_column_cannot_be_both(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are both 'review'"):
        read(request(tmp_path, delimited(rows(60)), form=Form("review", "review")), silent)


def test_a_name_that_no_package_can_have_is_refused(tmp_path: Path) -> None:
    given = Request(tmp_path / "评论.csv", FORM, models=tmp_path)
    with pytest.raises(DataError, match="small letters, digits and hyphens"):
        name_of(given)
    assert name_of(replace(given, name="reviews")) == "reviews"


def test_a_name_of_a_package_for_another_task_is_refused(made: Made, folder: Path) -> None:
    del made
    given = Request(folder / "my-meals-2026.csv", FORM, task="topic", models=folder / "models")
    with pytest.raises(DataError, match="is a package for classify; give another --name"):
        name_of(given)


def test_a_run_of_another_kind_is_not_overwritten(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "my-meals-2026"
    run.mkdir(parents=True)
    (run / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(RunError, match="holds a run of another kind"):
        make(request(tmp_path, delimited(rows(60))), silent)
    assert json.loads((run / "tokenizer.json").read_text("utf-8")) == {}
    shutil.rmtree(run)
