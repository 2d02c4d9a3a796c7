"""Real clients of the Open Inference Protocol against the real process: NVIDIA's and KServe's, from PyPI."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.foreign import session
from tests.packages import SUMMARIES, copy_package, copy_tiny
from tests.server import Server, serving

GOOD, BAD = "a good film, very good", "a bad film, very bad"
pytestmark = pytest.mark.timeout(600)  # the clients may have to be installed first


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a ready service over a classifier and a package that writes."""
    root = tmp_path_factory.mktemp("models")
    copy_tiny(root)
    copy_package(SUMMARIES, root, "writer")
    with serving(root) as running:
        yield running


@pytest.fixture(scope="module")
def triton(server: Server) -> dict[str, Any]:
    """Return what NVIDIA's client tells of its session."""
    return session("triton_http.py", server.url.removeprefix("http://"))


@pytest.fixture(scope="module")
def own(server: Server) -> dict[str, Any]:
    """Return what /v1 says of the same two texts."""
    answer: dict[str, Any] = httpx.post(f"{server.url}/v1/sentiment", json={"inputs": [GOOD, BAD]}).json()
    return {
        "labels": [result["label"] for result in answer["results"]],
        "scores": [list(result["scores"].values()) for result in answer["results"]],
    }


def test_triton_finds_the_server_and_its_models(triton: dict[str, Any]) -> None:
    assert (triton["live"], triton["ready"], triton["models ready"]) == (True, True, [True, True, False])
    assert triton["server"]["name"] == "sluice"
    assert {"binary_tensor_data", "statistics", "model_repository"} <= set(triton["server"]["extensions"])
    assert {"text", "ids", "lens"} == {one["name"] for one in triton["model"]["inputs"]}
    assert {(one["name"], one["state"]) for one in triton["index"]} == {("tiny", "READY"), ("writer", "READY")}


@pytest.mark.parametrize("form", ["json", "binary"])
def test_triton_gets_the_answers_of_v1(triton: dict[str, Any], own: dict[str, Any], form: str) -> None:
    assert triton[form]["id"] == "seven"
    assert triton[form]["labels"] == own["labels"]
    for row, wanted in zip(triton[form]["scores"], own["scores"], strict=True):
        assert row == pytest.approx(wanted, abs=2e-6)


def test_triton_gets_every_output_with_errors_by_item(triton: dict[str, Any]) -> None:
    assert triton["all outputs"] == ["labels", "scores", "truncated", "errors"]
    assert triton["errors"] == ["", "empty_text"]


def test_triton_gets_logits_of_token_ids(triton: dict[str, Any]) -> None:
    dtype, logits = triton["logits"]
    assert dtype == "float32"
    assert [len(row) for row in logits] == [3, 3]


def test_triton_asks_many_at_once(triton: dict[str, Any]) -> None:
    assert triton["at once"] == ["positive"]


def test_triton_gets_a_summary(triton: dict[str, Any], server: Server) -> None:
    asked = {"inputs": "In Oslo, Ann opens the old bridge.", "model": "writer", "max_tokens": 5}
    own = httpx.post(f"{server.url}/v1/summarize", json=asked).json()
    assert triton["summary"] == [own["results"][0]["summary"]]


def test_triton_reads_the_statistics(triton: dict[str, Any]) -> None:
    (found,) = triton["statistics"]["model_stats"]
    assert (found["name"], found["version"]) == ("tiny", "1")
    assert found["inference_count"] >= 27
    assert found["inference_stats"]["queue"]["ns"] > 0


def test_triton_is_told_why_it_is_refused(triton: dict[str, Any]) -> None:
    found = triton["refusals"]
    assert found["unknown model"][0] == "404"
    assert "nobody" in found["unknown model"][1]
    assert found["unknown input"][0] == "400"
    assert found["untold failure"][0] == "422"


def test_kserve_gets_the_answers_of_v1_in_json_and_in_binary(server: Server, own: dict[str, Any]) -> None:
    told = session("kserve_rest.py", server.url)
    assert (told["live"], told["ready"], told["models ready"]) == (True, True, [True, False])
    assert (told["json"]["id"], told["json"]["labels"]) == ("seven", own["labels"])
    for row, wanted in zip(told["json"]["scores"], own["scores"], strict=True):
        assert row == pytest.approx(wanted, abs=2e-6)
    name, logits = told["binary"]
    assert (name, [len(row) for row in logits]) == ("logits", [3, 3])
    status, text = told["refused"]
    assert status == 404
    assert "'nobody' is not here" in text
