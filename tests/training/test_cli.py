"""The verbs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.graphs import MLP, mlp, tensor_package
from tests.packages import OTHERS
from tests.server import ROOT
from tests.training.conftest import DATA, TINY, TinyRun
from training.cli import app


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_evaluate_prints_one_json_object(run: TinyRun) -> None:
    ended = call("evaluate", run.models / "tiny", "--data", "tiny", "--split", "test", "--data-root", DATA, "--json")
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert found.pop("seconds") > 0
    assert found == {
        "model": "tiny",
        "version": 1,
        "precision": "int8",
        "data": "tiny",
        "split": "test",
        "accuracy": 1.0,
        "macro_f1": 1.0,
        "macro_recall": 1.0,
        "rows": 90,
        "unanswered": 0,
    }


def call_baseline(runs: Path, *words: str | Path) -> Result:
    return call("baseline", "--config", TINY, "--data", "tiny", "--data-root", DATA, "--runs", runs, *words)


def test_baseline_prints_one_json_object_a_split(tmp_path: Path) -> None:
    ended = call_baseline(tmp_path, "--only", "nbsvm,lr", "--split", "test", "--split", "dev", "--json")
    assert ended.exit_code == 0, ended.output
    test, dev = map(json.loads, ended.stdout.splitlines())
    assert (test["split"], dev["split"]) == ("test", "dev")
    assert test.keys() == {"data", "split", "rows", "trained_on", "baselines", "not_run"}
    assert (test["data"], test["rows"], test["trained_on"], test["not_run"]) == ("tiny", 90, ["train"], {})
    lr, nbsvm = test["baselines"]
    assert (lr["name"], nbsvm["name"]) == ("lr", "nbsvm")
    assert lr.keys() == {"name", "accuracy", "macro_f1", "macro_recall", "choice", "seconds"}
    assert lr["accuracy"] == 1.0
    assert lr["choice"].keys() == {"c", "dev"}


def test_baseline_prints_a_table_for_people(tmp_path: Path) -> None:
    ended = call_baseline(tmp_path, "--only", "vader", "--split", "test")
    about, head, row = ended.stdout.splitlines()
    assert about == "tiny, test: 90 rows, in per cent, trained on train"
    assert head.split()[:3] == ["baseline", "accuracy", "macro-F1"]
    assert row.startswith("VADER ")


def test_baseline_names_those_there_are(tmp_path: Path) -> None:
    ended = call_baseline(tmp_path, "--only", "lr,svm")
    assert ended.exit_code == 1
    assert "error: no baseline 'svm'; there are lr, nbsvm, fasttext, vader, snownlp" in ended.stderr


def test_every_verb_from_text_to_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_DATA", str(DATA))
    monkeypatch.setenv("SLUICE_RUNS", str(tmp_path / "runs"))
    quick = tmp_path / "quick.toml"
    quick.write_text(TINY.read_text("utf-8").replace("epochs = 30", "epochs = 4"), "utf-8")
    for words in (("prepare",), ("train", "--threads", "1"), ("export",), ("pack", "--models", tmp_path / "models")):
        ended = call(words[0], quick, *words[1:])
        assert ended.exit_code == 0, ended.output
    assert (tmp_path / "models" / "tiny" / "1" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("prepare", "none.toml"), "none.toml: cannot be read"),
        (("evaluate", "none", "--data", "tiny"), "none: no such folder"),
        (("baseline", "--data", "other"), "'other': no run in"),
    ],
    ids=["no config", "no package", "no set"],
)
def test_what_a_person_can_put_right_is_a_message_and_status_1(words: tuple[str, ...], message: str) -> None:
    ended = call(*words, "--data-root", DATA)
    assert ended.exit_code == 1
    assert f"error: {message}" in ended.stderr


@pytest.mark.parametrize(
    ("verb", "config", "complaint"),
    [
        ("pretrain", "extract-en", "no stage to pre-train"),
        ("distill", "extract-en", "task is 'extract'; expected sentiment or topic or classify"),
        ("stages", "topic-en", "task is 'topic'; expected summarize"),
        ("holdout", "summarize-zh", "task is 'summarize'; expected sentiment or topic or classify"),
    ],
)
def test_a_verb_that_a_runs_task_has_not_says_so(verb: str, config: str, complaint: str, tmp_path: Path) -> None:
    ended = call(verb, ROOT / "training" / "configs" / f"{config}.toml", "--runs", tmp_path)
    assert (ended.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert complaint in ended.stderr


@pytest.mark.parametrize("verb", ["speed", "contrast"])
def test_a_verb_for_packages_that_classify_refuses_another_by_its_task(verb: str) -> None:
    ended = call(verb, OTHERS / "tiny-quotes")
    assert ended.exit_code == 1
    assert "task is 'extract'; expected a package that classifies" in ended.stderr


@pytest.mark.parametrize("verb", ["evaluate", "speed"])
def test_a_package_of_numbers_is_refused_by_its_task(verb: str, tmp_path: Path) -> None:
    more = ("--data", "tiny", "--data-root", DATA) if verb == "evaluate" else ()
    ended = call(verb, tensor_package(tmp_path, mlp(), MLP), *more)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "error: manifest.json: task is 'tensor'; expected a package that classifies" in ended.stderr
