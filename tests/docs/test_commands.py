"""Every command in the pages runs: verbs and options exist, and the README's session is real."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from app.api.examples import answerable, answerable_summaries, recorded
from app.cli import app as sluice
from tests import foreign
from tests.server import ROOT, serving
from training.cli import app as sluice_train

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MODELS = ROOT / "models"
PROGRAMS = {"sluice": sluice, "sluice-train": sluice_train}


def commands() -> list[tuple[str, str]]:
    """Return each command line of each page's sh blocks, continued lines joined, without comments."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            lines = (line.strip() for line in block.replace("\\\n", " ").splitlines())
            found += [(page.name, line) for line in lines if line and not line.startswith("#")]
    return found


def words_of(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return [Path(words[0]).name, *words[1:]] if words else []


OURS = [
    pytest.param(words_of(line), id=f"{page}: {line[:50]}")
    for page, line in commands()
    if words_of(line) and words_of(line)[0] in PROGRAMS
]


def test_the_pages_show_our_commands() -> None:
    assert len(OURS) >= 5


@pytest.mark.parametrize("words", OURS)
def test_a_documented_verb_and_its_options_exist(words: list[str]) -> None:
    group = typer.main.get_command(PROGRAMS[words[0]])
    verb = group.commands[words[1]]  # type: ignore[attr-defined]
    if hasattr(verb, "commands"):
        verb = verb.commands[words[2]]
    known = {option for parameter in verb.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
        "--help"
    }
    used = {word.partition("=")[0] for word in words[2:] if word.startswith("-")}
    assert used <= known


@pytest.mark.parametrize("target", sorted({w[1] for _, line in commands() if (w := words_of(line))[:1] == ["make"]}))
def test_a_documented_make_target_exists(target: str) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)  # noqa: S607


def test_a_documented_file_exists() -> None:
    for page, line in commands():
        for word in words_of(line):
            if re.match(r"(training|scripts|models|tests|deploy|benchmarks)/", word) and "<" not in word:
                assert (ROOT / word).exists(), f"{page}: {word}"


def readme_session() -> list[tuple[str, Any]]:
    """Return each curl of the README with the answer that stands below it."""
    text = (ROOT / "README.md").read_text("utf-8")
    pairs = re.findall(r"^```sh\n(curl (?:(?!^```).)*?)\n```\n+```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(command, json.loads(answer)) for command, answer in pairs]


def same(shown: Any, real: Any) -> None:
    """Compare two answers: all but times and request ids, numbers to the hundredth."""
    if isinstance(shown, dict):
        assert shown.keys() == real.keys()
        for key in shown.keys() - {"timings_ms", "request_id"}:
            same(shown[key], real[key])
    elif isinstance(shown, list):
        assert len(shown) == len(real)
        for one, other in zip(shown, real, strict=True):
            same(one, other)
    elif isinstance(shown, float):
        assert real == pytest.approx(shown, abs=0.01)
    else:
        assert shown == real


@pytest.mark.skipif(shutil.which("curl") is None, reason="NO CURL: the README's requests were not made")
def test_the_readmes_requests_get_the_answers_it_shows() -> None:
    session = readme_session()
    assert session
    with serving(MODELS) as server:
        for command, shown in session:
            line = command.replace("http://127.0.0.1:8000", server.url).replace("localhost:8000", server.url)
            ended = subprocess.run(shlex.split(line.replace("\\\n", " ")), check=True, capture_output=True, text=True)
            same(shown, json.loads(ended.stdout))


@pytest.mark.skipif(shutil.which("curl") is None, reason="NO CURL: the README's streams were not made")
def test_the_readmes_streams_are_what_they_show() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    streams = re.findall(r"^```sh\n(curl -N .*?)\n```\n+```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    with serving(MODELS) as server:
        for command, shown in streams:
            line = command.replace("http://127.0.0.1:8000", server.url).replace("\\\n", " ")
            ended = subprocess.run(shlex.split(line), check=True, capture_output=True, text=True)
            same(
                *(
                    [json.loads(event[6:]) for event in part.split("\n\n") if event.strip()]
                    for part in (shown, ended.stdout)
                )
            )
    assert streams or not (MODELS / "summarize-en").exists(), "the README shows no stream"


@pytest.mark.timeout(600)
def test_the_readmes_session_of_tritonclient_prints_what_it_shows() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    pairs = re.findall(r"^```python\n(.*?)```\n+```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ((program, shown),) = [(program, shown) for program, shown in pairs if "tritonclient" in program]
    with serving(MODELS) as server:
        printed = foreign.run(program.replace("127.0.0.1:8000", server.url.removeprefix("http://")))
    labels, scores = (re.findall(pattern, printed) for pattern in (r"b'(\w+)'", r"\d\.\d*"))
    assert labels == re.findall(r"b'(\w+)'", shown)
    assert [float(score) for score in scores] == pytest.approx(
        [float(score) for score in re.findall(r"\d\.\d*", shown)], abs=0.01
    )


def test_the_recorded_examples_are_what_the_bundled_packages_answer() -> None:
    shown = recorded()
    with serving(MODELS) as server:
        for task, found in answerable([package.name for package in MODELS.iterdir()]).items():
            path = f"/v1/{task}"
            assert list(shown[path]) == list(found), "run scripts/record-examples: a package has come or gone"
            for name, example in found.items():
                same(shown[path][name], httpx.post(server.url + path, json=example.body).json())
        summaries = answerable_summaries([package.name for package in MODELS.iterdir()])
        assert list(shown.get("/v1/summarize", {})) == list(summaries), "run scripts/record-examples: likewise"
        for name, example in summaries.items():
            same(shown["/v1/summarize"][name], httpx.post(f"{server.url}/v1/summarize", json=example.body).json())
        for path in ("/v1/models", "/health/live", "/health/ready"):
            same(shown[path], httpx.get(server.url + path).json())


def test_the_readmes_tree_names_every_module_of_app() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for module in sorted(Path(ROOT / "app").iterdir()):
        if module.name not in {"__init__.py", "__pycache__", "py.typed"}:
            assert module.name in text, f"{module.name} has no line in the README"
