"""POST /v1/topic, POST /v1/classify, and one request in two languages: which package answers, and with what."""

import math
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.api.schemas import PredictResponse
from tests.app.api.conftest import MakeClient
from tests.packages import TOPIC, copy_package, every_task

TOPICS = ["business", "science", "sport", "world"]
MATCH, TREATY = "the news about the match", "the report about the treaty"


@pytest.fixture
def every(make_client: MakeClient, tmp_path: Path) -> TestClient:
    """Return a client of a service with packages for every task."""
    return make_client(every_task(tmp_path))


@pytest.mark.parametrize(("task", "package"), [("topic", "topic-en"), ("classify", "my-tickets")])
def test_a_task_is_answered_by_its_own_default_with_the_packages_labels(
    every: TestClient, task: str, package: str
) -> None:
    answer = every.post(f"/v1/{task}", json={"inputs": [MATCH, TREATY]})
    assert answer.status_code == 200
    body = PredictResponse.model_validate_json(answer.content)
    assert (body.model, [result.label for result in body.results]) == (package, ["sport", "world"])
    assert list(body.results[0].scores) == TOPICS
    assert sum(body.results[0].scores.values()) == pytest.approx(1, abs=1e-5)


def test_topics_are_explained_and_told_sentence_by_sentence(every: TestClient) -> None:
    text = "The match. The treaty."
    (result,) = every.post("/v1/topic", json={"inputs": text, "explain": True, "sentences": True}).json()["results"]
    assert [text[part["start"] : part["end"]] for part in result["explanation"]] == [
        part["text"] for part in result["explanation"]
    ]
    assert [sentence["label"] for sentence in result["sentences"]] == ["sport", "world"]
    best = max(result["explanation"], key=lambda part: part["weight"])
    assert best["text"].lower() in {"sport": "match", "world": "treaty"}[result["label"]]


def test_a_package_beside_the_default_answers_when_it_is_named(every: TestClient) -> None:
    assert every.post("/v1/topic", json={"inputs": MATCH, "model": "another-topic"}).json()["model"] == "another-topic"


def test_a_package_of_another_task_is_not_found(every: TestClient) -> None:
    answer = every.post("/v1/topic", json={"inputs": MATCH, "model": "sentiment-en"})
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
    assert "'sentiment-en' is for sentiment; expected a model for topic" in answer.json()["error"]


def test_a_task_without_a_package_is_not_found(client: TestClient) -> None:
    for task in ("topic", "classify"):
        answer = client.post(f"/v1/{task}", json={"inputs": MATCH})
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
        assert f"no model for {task} is here" in answer.json()["error"]


def test_two_packages_of_ones_own_have_to_be_named(make_client: MakeClient, tmp_path: Path) -> None:
    root = every_task(tmp_path)
    copy_package(TOPIC, root, "my-films", edit=lambda manifest: manifest.update(task="classify"))
    client = make_client(root)
    answer = client.post("/v1/classify", json={"inputs": MATCH})
    assert (answer.status_code, answer.json()["code"]) == (422, "ambiguous_model")
    assert "expected a model among ['my-films', 'my-tickets']" in answer.json()["error"]
    assert client.post("/v1/classify", json={"inputs": MATCH, "model": "my-films"}).json()["model"] == "my-films"
    by_name = {model["name"]: model["default_for"] for model in client.get("/v1/models").json()["models"]}
    assert by_name["my-films"] == by_name["my-tickets"] == []
    assert by_name["topic-en"] == ["en"]


def test_each_text_of_a_request_goes_to_its_languages_package(every: TestClient) -> None:
    texts = ["a good film", "这个电影很糟糕", "", "이 영화", "电影真是精彩!", "a bad film"]
    answer = every.post("/v1/sentiment", json={"inputs": texts}).json()
    found = [
        (one["index"], one["label"], one["language"], one.get("model", answer["model"])) for one in answer["results"]
    ]
    assert found == [
        (0, "positive", "en", "sentiment-en"),
        (1, "negative", "zh", "sentiment-zh"),
        (4, "positive", "zh", "sentiment-zh"),
        (5, "negative", "en", "sentiment-en"),
    ]
    assert [(one["index"], one["code"]) for one in answer["errors"]] == [(2, "empty_text"), (3, "unsupported_language")]


def test_chinese_sentences_are_judged_one_by_one(every: TestClient) -> None:
    text = "这个电影很精彩。服务真是糟糕!"
    (result,) = every.post("/v1/sentiment", json={"inputs": text, "sentences": True}).json()["results"]
    found = [(text[one["start"] : one["end"]], one["label"]) for one in result["sentences"]]
    assert found == [("这个电影很精彩。", "positive"), ("服务真是糟糕!", "negative")]


def test_a_mixed_text_is_one_language_and_its_offsets_are_of_the_text_as_sent(every: TestClient) -> None:
    text = "这个iPhone很棒！！！ＡＢＣ"
    (result,) = every.post("/v1/sentiment", json={"inputs": text, "explain": True}).json()["results"]
    assert (result["language"], result["label"]) == ("zh", "positive")
    spans = [(part["start"], part["end"]) for part in result["explanation"]]
    assert [text[start:end] for start, end in spans] == [part["text"] for part in result["explanation"]]
    assert {"这", "个", "棒", "！！！"} <= {part["text"] for part in result["explanation"]}


def test_the_temperature_of_a_package_sets_its_probabilities_and_not_its_labels(
    make_client: MakeClient, tmp_path: Path
) -> None:
    root = every_task(tmp_path)
    calibration = {"temperature": 20.0, "data": ["tiny-topic/dev"], "ece_before": 0.2, "ece_after": 0.1}
    for name, temperature in {"calm": 20.0, "calmer": 40.0}.items():
        changed = calibration | {"temperature": temperature}
        copy_package(TOPIC, root, name, edit=lambda manifest, changed=changed: manifest.update(calibration=changed))  # type: ignore[misc]
    client = make_client(root)
    asked = {"inputs": MATCH, "explain": True}
    plain, calm, calmer = (
        client.post("/v1/topic", json=asked | {"model": name}).json()["results"][0]
        for name in ("topic-en", "calm", "calmer")
    )
    assert plain["label"] == calm["label"] == calmer["label"]
    assert plain["score"] > calm["score"] > calmer["score"]
    assert plain["explanation"] == calm["explanation"] == calmer["explanation"]
    for label in ("business", "science", "world"):
        odds, flatter = (math.log(one["scores"]["sport"] / one["scores"][label]) for one in (calm, calmer))
        assert flatter == pytest.approx(odds / 2, abs=1e-4)
    (version,) = client.get("/v1/models/calm").json()["versions"]
    assert version["calibration"] == calibration


def test_requests_and_texts_are_counted_by_task(every: TestClient) -> None:
    every.post("/v1/topic", json={"inputs": [MATCH, ""]})
    series = every.get("/metrics").text.splitlines()
    assert 'sluice_requests_total{code="200",route="/v1/topic"} 1.0' in series
    assert 'sluice_items_total{code="ok",model="topic-en",task="topic",version="1"} 1.0' in series
    assert 'sluice_items_total{code="empty_text",model="none",task="topic",version="none"} 1.0' in series
    assert 'sluice_items_total{code="ok",model="my-tickets",task="classify",version="1"} 0.0' in series


@pytest.mark.parametrize("task", ["topic", "classify"])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"{}", 422, "invalid_request"),
        (b'{"inputs": []}', 422, "invalid_request"),
        (b'{"inputs": "x", "labels": ["a"]}', 422, "invalid_request"),
        (b'{"inputs": "x", "model": "nobody"}', 404, "model_not_found"),
        (b'{"inputs": "x", "version": 9}', 404, "model_not_found"),
    ],
)
def test_a_bad_request_is_refused_alike_on_every_route(
    every: TestClient, task: str, body: bytes, status: int, code: str
) -> None:
    answer = every.post(f"/v1/{task}", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
