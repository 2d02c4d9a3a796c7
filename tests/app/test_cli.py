"""The command ``sluice`` without a server."""

import json
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from app.cli import app
from tests.graphs import lstm
from tests.packages import PACKAGES, every_task
from tests.parrot import parrot, weigher
from tests.server import ROOT

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


def test_predict_takes_the_task_of_the_named_package_or_the_one_asked_for(tmp_path: Path) -> None:
    where = ["--models-dir", str(every_task(tmp_path))]
    for options, label in [
        (["--model", "my-tickets"], "sport"),
        (["--task", "topic"], "sport"),
        (["--task", "classify"], "sport"),
    ]:
        ended = RUN.invoke(app, ["predict", *where, *options, "the match"])
        assert ended.exit_code == 0, ended.output
        assert json.loads(ended.stdout)["label"] == label
    ended = RUN.invoke(app, ["predict", *where, "--task", "topic", "--model", "sentiment-en", "the match"])
    assert ended.exit_code == 2
    assert "'sentiment-en' is for sentiment; expected a model for topic" in ended.stderr


def test_models_lists_every_package() -> None:
    ended = RUN.invoke(app, ["models", *WHERE])
    assert ended.exit_code == 0, ended.output
    assert [model["name"] for model in json.loads(ended.stdout)["models"]] == ["tiny"]


def test_predict_summarizes_and_quotes(tmp_path: Path) -> None:
    parrot(tmp_path)
    weigher(tmp_path)
    for options, method in [
        (["--task", "summarize"], "abstractive"),
        (["--model", "summarize-en"], "abstractive"),
        (["--task", "extract"], "extractive"),
        (["--model", "extract-en"], "extractive"),
    ]:
        ended = RUN.invoke(app, ["predict", "--models-dir", str(tmp_path), *options, "The lazy dog."])
        assert ended.exit_code == 0, ended.output
        line = json.loads(ended.stdout)
        assert (line["summary"], line["method"]) == ("The lazy dog.", method)


def wrapped(folder: Path, *options: str) -> Result:
    (folder / "graph.onnx").write_bytes(lstm())
    return RUN.invoke(
        app, ["wrap", str(folder / "graph.onnx"), "--name", "mine", "--models-dir", str(folder), *options]
    )


def test_wrap_makes_a_package_and_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    ended = wrapped(tmp_path, "--version", "3", "--size", "steps=5", "--description", "States.")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith("takes x float32['batch', 'steps', 4], shift int64['batch']; gives states float32")
    assert "batched" in ended.stdout
    listed = RUN.invoke(app, ["models", "--models-dir", str(tmp_path)])
    (found,) = json.loads(listed.stdout)["models"]
    assert (found["name"], found["task"], found["description"]) == ("mine", "tensor", "States.")
    assert found["versions"][0]["state"] == "ready"


def test_wrap_refuses_a_size_that_is_none(tmp_path: Path) -> None:
    ended = wrapped(tmp_path, "--size", "steps=many")
    assert (ended.exit_code, ended.stderr) == (
        2,
        "sluice: --size is 'steps=many'; expected AXIS=SIZE, as in steps=16\n",
    )


def test_predict_refuses_a_package_of_numbers(tmp_path: Path) -> None:
    assert wrapped(tmp_path).exit_code == 0
    ended = RUN.invoke(app, ["predict", "--models-dir", str(tmp_path), "--model", "mine", "a text"])
    assert ended.exit_code == 2
    assert "the task is tensor, numbers to numbers; expected one that reads text" in ended.stderr


def test_the_command_line_alone_loads_no_fastapi() -> None:
    program = "import sys, app.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "onnxruntime" in loaded.stdout.split()
    assert not {"fastapi", "uvicorn", "structlog"} & set(loaded.stdout.split())
