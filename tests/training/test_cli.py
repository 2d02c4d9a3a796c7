"""The verbs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

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


def test_baseline_says_what_it_was_trained_on() -> None:
    ended = call("baseline", "--config", TINY, "--data", "tiny", "--data-root", DATA, "--json")
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert found["trained_on"] == ["train"]
    assert found["accuracy"] == 1.0


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
        (("baseline", "--data", "other"), "'other': not in"),
    ],
    ids=["no config", "no package", "no set"],
)
def test_what_a_person_can_put_right_is_a_message_and_status_1(words: tuple[str, ...], message: str) -> None:
    ended = call(*words, "--data-root", DATA)
    assert ended.exit_code == 1
    assert f"error: {message}" in ended.stderr
