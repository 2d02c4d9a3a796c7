"""Every task over a real socket, with the packages of several tasks and languages in one service."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.packages import TOPIC, copy_package, every_task
from tests.server import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a ready service with packages for every task, two of them for classify."""
    root = every_task(tmp_path_factory.mktemp("models"))
    copy_package(TOPIC, root, "my-films", edit=lambda manifest: manifest.update(task="classify", languages=["de"]))
    with serving(root) as running:
        yield running


def ask(server: Server, task: str, inputs: Any, **more: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/{task}", json={"inputs": inputs, **more})


def test_one_request_in_two_languages_is_answered_by_two_packages(server: Server) -> None:
    texts = ["a good film" if at % 2 else "这本书很糟糕" for at in range(100)]
    answer = ask(server, "sentiment", texts).json()
    assert answer["errors"] == []
    assert [(one["index"], one["label"], one["language"]) for one in answer["results"]] == [
        (at, "positive", "en") if at % 2 else (at, "negative", "zh") for at in range(100)
    ]
    assert server.metric("sluice_items_total", model="sentiment-zh", code="ok") >= 50


def test_topics_are_told(server: Server) -> None:
    answer = ask(server, "topic", ["a talk about the telescope", "the merger"], explain=True).json()
    assert (answer["model"], [one["label"] for one in answer["results"]]) == ("topic-en", ["science", "business"])
    assert server.metric("sluice_requests_total", route="/v1/topic", code="200") >= 1


def test_a_package_of_ones_own_answers_unnamed_where_it_is_the_languages_only_one(server: Server) -> None:
    assert ask(server, "classify", "the telescope").json()["model"] == "my-tickets"
    assert ask(server, "classify", "the telescope", language="de").json()["model"] == "my-films"


def test_a_language_without_a_package_is_the_texts_own_error(server: Server) -> None:
    answer = ask(server, "topic", ["the merger", "股票大涨"])
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    assert (error["index"], error["code"]) == (1, "unsupported_language")
    assert "'zh'; expected one of ['en']" in error["message"]
    assert ask(server, "topic", "股票大涨").status_code == 422


@pytest.mark.parametrize(
    ("task", "more", "status", "code"),
    [
        ("topic", {"model": "sentiment-en"}, 404, "model_not_found"),
        ("classify", {"model": "topic-en"}, 404, "model_not_found"),
        ("classify", {"model": "my-tickets", "language": "zh"}, 422, "unsupported_language"),
        ("topic", {"explain": "yes"}, 422, "invalid_request"),
        ("summarize", {}, 404, "model_not_found"),
        ("poetry", {}, 404, "route_not_found"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_code(
    server: Server, task: str, more: dict[str, Any], status: int, code: str
) -> None:
    answer = ask(server, task, "the merger", **more)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
