"""The command ``sluice`` without a server."""

import json

from typer.testing import CliRunner

from app.cli import app
from tests.packages import PACKAGES

RUN = CliRunner()
WHERE = ["--models-dir", str(PACKAGES)]


def test_predict_writes_one_line_of_json_a_text() -> None:
    ended = RUN.invoke(app, ["predict", *WHERE, "a good film", "a bad film"])
    assert ended.exit_code == 0, ended.output
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(line["index"], line["label"]) for line in lines] == [(0, "positive"), (1, "negative")]


def test_predict_reads_standard_input_and_keeps_the_place_of_a_bad_line() -> None:
    ended = RUN.invoke(app, ["predict", *WHERE], input="a good film\n\na bad film\n")
    assert ended.exit_code == 1
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["index"] for line in lines] == [0, 1, 2]
    assert lines[1]["code"] == "empty_text"


def test_predict_with_an_unknown_model_says_which_there_are() -> None:
    ended = RUN.invoke(app, ["predict", *WHERE, "--model", "nobody", "x"])
    assert ended.exit_code == 2
    assert "expected one of ['tiny']" in ended.stderr


def test_models_lists_every_package() -> None:
    ended = RUN.invoke(app, ["models", *WHERE])
    assert ended.exit_code == 0, ended.output
    assert [model["name"] for model in json.loads(ended.stdout)["models"]] == ["tiny"]
