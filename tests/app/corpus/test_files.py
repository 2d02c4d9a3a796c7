"""``sluice predict FILE -o FILE``: whatever the forms, each row is answered once, in its place, or told of aside."""

import csv
import gc
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.corpus.block import MAX_ROWS
from app.corpus.journal import Done, Journal
from tests.packages import PACKAGES
from tests.server import ROOT

RUN = CliRunner()
TEXTS = ["a good film", "a bad film", "", "好", 'a good, "good"\nfilm']
LABELS = ["positive", "negative", "positive"]
"""Of the first, the second and the last; the third is empty, and no package here reads the fourth."""


def predict(*words: object) -> Result:
    return RUN.invoke(app, ["predict", "--models-dir", str(PACKAGES), "--task", "sentiment", *map(str, words)])


def written(folder: Path, form: str) -> Path:
    """Write the texts with a column of their own beside them."""
    path = folder / f"in.{form}"
    rows = [{"n": at, "text": text} for at, text in enumerate(TEXTS)]
    if form == "csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, ["n", "text"])
            writer.writeheader()
            writer.writerows(rows)
    elif form == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("into", ["csv", "jsonl", "parquet"])
def test_every_form_becomes_every_form_with_its_own_columns(tmp_path: Path, form: str, into: str) -> None:
    out = tmp_path / f"out.{into}"
    ended = predict(written(tmp_path, form), "-o", out)
    assert ended.exit_code == 1, ended.output
    rows = read(out)
    assert [(int(row["n"]), row["text"], row["label"]) for row in rows] == [
        (at, TEXTS[at], label) for at, label in zip([0, 1, 4], LABELS, strict=True)
    ]
    assert float(rows[0]["score"]) > 0.5
    bad = read(tmp_path / f"out.{into}.bad.jsonl")
    assert [(one["row"], one["code"]) for one in bad] == [(3, "empty_text"), (4, "unsupported_language")]
    assert not list(tmp_path.glob("*.parts"))


def test_parquet_keeps_the_types_of_its_columns(tmp_path: Path) -> None:
    path, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = pa.table({"text": ["good"] * 3, "when": [datetime(2026, 1, 2)] * 3, "n": pa.array([1, None, 3], pa.int8())})  # noqa: DTZ001
    pq.write_table(table, path)
    assert predict(path, "-o", out).exit_code == 0
    found = pq.read_table(out)
    assert found.select(table.schema.names).equals(table)
    assert dict(found["scores"][0].as_py()).keys() == {"negative", "neutral", "positive"}


def test_rows_of_the_wrong_form_are_told_by_number(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_bytes(b"text,n\ngood,1\nbad\ngood,1,2\n\xff,4\nbad,5\n")
    assert predict(path, "-o", out).exit_code == 1
    assert [row["n"] for row in read(out)] == ["1", "5"]
    reasons = {one["row"]: one["reason"] for one in read(tmp_path / "out.csv.bad.jsonl")}
    assert reasons == {
        2: "1 fields; expected 2, as the header",
        3: "3 fields; expected 2, as the header",
        4: "text is not UTF-8",
    }


def test_lines_that_are_no_rows_are_told_by_number(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"text": "good"}\n\n"bad"\n{"n": 1}\n[]\n{\n{"text": null}\n', "utf-8")
    assert predict(path, "-o", out).exit_code == 1
    assert [row["label"] for row in read(out)] == ["positive", "negative"]
    assert [one["row"] for one in read(tmp_path / "out.jsonl.bad.jsonl")] == [3, 4, 5, 6]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_file_without_rows_becomes_one_without_rows(tmp_path: Path, form: str) -> None:
    path, out = tmp_path / f"in.{form}", tmp_path / f"out.{form}"
    if form == "parquet":
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    else:
        path.write_text("text\n" if form == "csv" else "", "utf-8")
    assert predict(path, "-o", out).exit_code == 0
    assert read(out) == []


def test_a_column_of_another_name_is_read_and_columns_of_ours_are_not_overwritten(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("label,review\nneg,a good film\n", "utf-8")
    for words, said in [
        ((), "in.csv has the columns label, review; expected text among them: --text-column"),
        (("--text-column", "review"), "the file has columns label already; expected others: --prefix"),
    ]:
        ended = predict(path, "-o", out, *words)
        assert (ended.exit_code, said in ended.stderr) == (2, True), ended.stderr
    assert predict(path, "-o", out, "--text-column", "review", "--prefix", "predicted_").exit_code == 0
    (row,) = read(out)
    assert (row["label"], row["predicted_label"]) == ("neg", "positive")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.csv", "-o", "out.csv"), "nowhere.csv cannot be read"),
        (("in.csv", "-o", "out.xls"), "out.xls ends with '.xls'; expected one of .csv, .jsonl"),
        (("in.txt", "-o", "out.csv"), "in.txt ends with '.txt'; expected one of"),
        (("in.csv", "-o", "in.csv", "--overwrite"), "in.csv is the input; expected another name"),
        (("in.csv", "-o", "there.csv"), "there.csv is there already; expected another name, or --overwrite"),
        (("in.csv", "more.csv", "-o", "out.csv"), "2 files are named; expected one"),
        (("in.csv", "-o", "out.csv", "--task", "summarize"), "--task is summarize; expected one of sentiment"),
        (("in.csv", "-o", "out.csv", "--model", "nobody"), "model 'nobody' is not here"),
    ],
)
def test_what_cannot_be_begun_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.csv", "in.txt", "there.csv"):
        Path(name).write_text("text\ngood\n", "utf-8")
    ended = predict(*words)
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "parquet")
    monkeypatch.delitem(sys.modules, "app.corpus.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = predict(path, "-o", tmp_path / "out.csv")
    assert ended.exit_code == 2
    assert "pip install 'sluice[bulk]'" in ended.stderr


@pytest.mark.timeout(300)
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path, out, other = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "other.jsonl"))
    texts = ["a good film", "a bad film", ""]
    path.write_text("".join(json.dumps({"n": at, "text": texts[at % 3]}) + "\n" for at in range(60_000)), "utf-8")
    command = [sys.executable, "-m", "app.cli", "predict", str(path), "-o", str(out), "--models-dir", str(PACKAGES)]
    parts = tmp_path / "out.jsonl.parts"
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as running:
        until = time.monotonic() + 100
        while not list(parts.glob("*.done")) and time.monotonic() < until:
            time.sleep(0.005)
        os.kill(running.pid, signal.SIGKILL)
    assert not out.exists()
    done = len(list(parts.glob("*.done")))
    assert 1 <= done < 60_000 // MAX_ROWS
    refused = predict(path, "-o", out, "--prefix", "p_")
    assert "parts of another run: prefix was '' and is 'p_'; expected the same, or --restart" in refused.stderr
    ended = predict(path, "-o", out)
    assert ended.exit_code == 1
    assert f"going on after {done * MAX_ROWS:,} rows" in ended.stderr
    assert predict(path, "-o", other, "--restart").exit_code == 1
    assert out.read_bytes() == other.read_bytes()
    assert (tmp_path / "out.jsonl.bad.jsonl").read_bytes() == (tmp_path / "other.jsonl.bad.jsonl").read_bytes()
    assert len(read(out)) == 40_000
    assert not parts.exists()


def test_a_run_leaves_the_interpreter_as_it_was(tmp_path: Path) -> None:
    before = sys.getswitchinterval(), gc.get_threshold()
    assert predict(written(tmp_path, "csv"), "-o", tmp_path / "out.csv").exit_code == 1
    assert predict(tmp_path / "none.csv", "-o", tmp_path / "out.csv").exit_code == 2
    assert (sys.getswitchinterval(), gc.get_threshold()) == before


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    path = written(tmp_path, "csv")
    with Journal(tmp_path / "out.csv", {}).opened():
        ended = predict(path, "-o", tmp_path / "out.csv")
    assert ended.exit_code == 2
    assert "another process writes" in ended.stderr


def test_a_part_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "out.csv", {"a": 1})
    with journal.opened():
        journal.add(b"one", b"", Done(3, 1))
        (journal.folder / "000001.part").write_bytes(b"half")
    again = Journal(tmp_path / "out.csv", {"a": 1})
    with again.opened():
        assert (again.rows, again.bad, len(again.files("part"))) == (3, 1, 1)
