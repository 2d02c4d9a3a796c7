"""The side-by-side run as one command: sets up what is missing, runs the peers and ours in turn, fills the page.

    python -m benchmarks.peers SCRATCH [--tools ../shared/tools/peers] [--seconds 3] [--rounds 2]

SCRATCH keeps the peers' virtual environments, the reference work and the last run's lines of JSON, so that the next run
starts at once. Needs wrk, the tools (their README says what they do) and, to set up, a Python package index. Writes its
part of docs/performance.md and of the JSON beside it.
"""

import json
import lzma
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.posts import KINDS, share_of_bare
from benchmarks.reference import ROOT, mixed, register, target_of, write_package
from benchmarks.report import PERFORMANCE
from benchmarks.service import running
from benchmarks.side_by_side import main as publish

_ENVIRONMENTS = {"mosec": "mosec", "triton": "pytriton", "fastapi_ort": "fastapi"}
"""Each peer with its environment; the last one's runs the tool itself."""
TOOLS = Path("../shared/tools/peers")
SENTENCES = Path("../shared/data/sentiment/sst5/train.jsonl.xz")
_WARM_UP_S, _BARE_BATCH = 1, 64
_POSTS_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the tools are, and where everything is kept that they need and write."""

    tools: Path
    scratch: Path

    def python(self, environment: str) -> Path:
        """Return the interpreter of one of the virtual environments."""
        return self.venvs / environment / "bin" / "python"

    @property
    def venvs(self) -> Path:
        """The folder of the virtual environments."""
        return self.scratch / "venvs"

    def work(self, kind: str) -> Path:
        """Return the folder of the reference work: ``same`` for short and long texts, ``mixed`` for mixed ones."""
        return self.scratch / f"art-{kind}"

    def set_up(self, sentences: Path) -> None:
        """Make the environments and the reference work, where they are missing."""
        for environment in _ENVIRONMENTS.values():
            if not (self.venvs / environment / "whole").exists():
                wanted = self.tools / "requirements" / f"{environment}.txt"
                _run([sys.executable, "-m", "venv", self.venvs / environment])
                _run([self.python(environment), "-m", "pip", "install", "--quiet", "-r", wanted])
                (self.venvs / environment / "whole").touch()
        if not (self.work("same") / "config.json").exists():
            table = self.scratch / "train.tsv"
            table.write_text(_sst2(sentences), "utf-8")
            _run([sys.executable, self.tools / "build_artifacts.py", "--tsv", table, "--out", self.work("same")])
        if not self.work("mixed").exists():
            mixed(self.work("same"), self.work("mixed"))

    def run(self, kind: str, *options: str) -> Path:
        """Run peers and ours in turn over one kind of work, and return the file of the lines of JSON."""
        out = self.scratch / f"results-{kind}.jsonl"
        out.unlink(missing_ok=True)
        command = [self.python("fastapi"), self.tools / "run.py", "--together", "--art", self.work(kind)]
        command += ["--venvs", self.venvs, "--peers", ",".join(_ENVIRONMENTS), "--out", out]
        _run([*command, "--target", json.dumps(target_of(sys.executable, ROOT)), "--warmup", _WARM_UP_S, *options])
        return out

    def bare_loop(self, seconds: int) -> Path:
        """Run the bare loop over the same work, and return the file of its lines of JSON."""
        out = self.scratch / "limits.jsonl"
        with out.open("w", encoding="utf-8") as file:
            command = [self.python("fastapi"), self.tools / "limits.py", "--sizes", _BARE_BATCH, "--seconds", seconds]
            told = {"BENCH_ART": str(self.work("same").resolve())}
            subprocess.run(list(map(str, command)), check=True, stdout=file, env=told)
        return out

    def posts(self, seconds: int, rounds: int) -> Path:
        """Run many texts a POST in turn with the bare loop, and return the file of each kind's share in JSON."""
        art, out = self.work("same"), self.scratch / "posts.json"
        register(art)
        with tempfile.TemporaryDirectory(prefix="sluice-peers-") as folder:
            package = write_package(art, Path(folder)).parent
            with running("benchmarks.reference", "serve", "--port", "PORT", BENCH_ART=str(art.resolve())) as service:
                found = {
                    kind: share_of_bare(
                        service, package, kind, _lines(art / f"{kind}.txt"), seconds=seconds, rounds=rounds
                    )
                    for kind in KINDS
                }
        out.write_text(json.dumps({kind: one._asdict() for kind, one in found.items()}), "utf-8")
        return out


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines()


def _run(command: list[object]) -> None:
    words = [str(word) for word in command]
    try:
        subprocess.run(words, check=True)
    except subprocess.CalledProcessError as failed:
        raise SystemExit(f"{' '.join(words[:4])} ... ended with {failed.returncode}; expected 0") from failed


def _sst2(sentences: Path) -> str:
    """Return the training sentences of SST-2, those of SST-5 that are not neutral, as ``text<TAB>label`` a line."""
    with lzma.open(sentences, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["label"] != "neutral"]
    return "".join(f"{row['text']}\t{row['label']}\n" for row in rows)


def main(
    scratch: Annotated[Path, typer.Argument(help="Folder of what the run needs and writes.")],
    *,
    tools: Annotated[Path, typer.Option(help="Folder of the tools.")] = TOOLS,
    sentences: Annotated[Path, typer.Option(help="SST-5's training sentences, which become the texts.")] = SENTENCES,
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which each takes its turn.")] = 2,
    page: Annotated[Path, typer.Option(help="Page of the tables, beside its JSON.")] = PERFORMANCE,
) -> None:
    """Run the peers, ours and the bare loop over the same work, ours and that loop in turn too; write the tables."""
    bench = Bench(tools.resolve(), scratch.resolve())
    scratch.mkdir(parents=True, exist_ok=True)
    bench.set_up(sentences)
    length = ("--seconds", str(seconds), "--rounds", str(rounds))
    same = bench.run("same", *length)
    other = bench.run("mixed", *length, "--sets", "short", "--connections", "64", "--batch-connections", "")
    posts = bench.posts(seconds, _POSTS_ROUNDS)
    publish(same, mixed=other, bare=bench.bare_loop(seconds), posts=posts, page=page)


if __name__ == "__main__":
    typer.run(main)
