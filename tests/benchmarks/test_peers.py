"""The side-by-side run starts the tool with ours among the peers."""

import itertools
import json
import lzma
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.peers import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return tools whose run writes down how it was started."""
    tools, scratch = tmp_path / "tools", tmp_path / "scratch"
    tools.mkdir()
    python = scratch / "venvs" / "fastapi" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.words"\n', "utf-8")
    python.chmod(0o755)
    return Bench(tools, scratch)


def test_the_run_has_every_peer_and_ours_over_the_same_work(bench: Bench) -> None:
    out = bench.run("same", "--seconds", "3")
    words = Path(f"{bench.python('fastapi')}.words").read_text("utf-8").splitlines()
    given = dict(itertools.pairwise(words))
    assert given["--peers"] == "mosec,triton,fastapi_ort"
    assert (given["--art"], given["--out"], given["--seconds"]) == (str(bench.work("same")), str(out), "3")
    assert json.loads(given["--target"])["name"] == "sluice"


def test_a_tool_that_fails_ends_the_run_with_its_status(bench: Bench) -> None:
    bench.python("fastapi").write_text("#!/bin/sh\nexit 3\n", "utf-8")
    with pytest.raises(SystemExit, match="ended with 3"):
        bench.run("same")


def test_the_texts_are_the_sentences_that_are_not_neutral(tmp_path: Path) -> None:
    rows = [
        {"text": text, "label": label} for text, label in (("a b", "positive"), ("c", "neutral"), ("d", "negative"))
    ]
    with lzma.open(tmp_path / "train.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    assert peers._sst2(tmp_path / "train.jsonl.xz") == "a b\tpositive\nd\tnegative\n"
