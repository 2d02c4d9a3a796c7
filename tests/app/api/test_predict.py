"""POST /v1/sentiment: answers, errors by item, and errors of the whole request."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.schemas import PredictResponse
from tests.app.api.conftest import MakeClient
from tests.packages import copy_tiny

GOOD, BAD = "a good film, very good", "a bad film, very bad"


def ask(client: TestClient, **body: Any) -> Any:
    answer = client.post("/v1/sentiment", json=body)
    assert answer.status_code == 200, answer.text
    PredictResponse.model_validate_json(answer.content)
    return answer.json()


def test_one_text_gets_one_answer(client: TestClient) -> None:
    answer = ask(client, inputs=GOOD)
    assert (answer["model"], answer["version"], answer["errors"]) == ("tiny", 1, [])
    (result,) = answer["results"]
    assert result["label"] == "positive"
    assert result["score"] == result["scores"]["positive"] == max(result["scores"].values())
    assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert (result["index"], result["language"], result["truncated"]) == (0, "en", False)
    assert result["tokens"] > 3
    assert set(answer["timings_ms"]) == {"tokenize", "queue", "infer", "total"}


def test_a_list_is_answered_in_its_order(client: TestClient) -> None:
    answer = ask(client, inputs=[GOOD, BAD, GOOD])
    assert [result["label"] for result in answer["results"]] == ["positive", "negative", "positive"]
    assert [result["index"] for result in answer["results"]] == [0, 1, 2]


def test_a_bad_item_is_an_error_and_the_others_are_answered(make_client: MakeClient) -> None:
    client = make_client(max_item_chars=60)
    answer = ask(client, inputs=[GOOD, "", "  \n\t", "ᚠᚢᚦ", "这部电影不好", "good " * 20, BAD])
    assert [result["index"] for result in answer["results"]] == [0, 6]
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [
        (1, "empty_text"),
        (2, "empty_text"),
        (3, "no_usable_text"),
        (4, "unsupported_language"),
        (5, "text_too_long"),
    ]
    assert answer["errors"][3]["message"] == "the text's language is 'zh'; expected one of ['en']"


def test_a_request_of_which_nothing_can_be_answered_is_422_with_each_items_error(client: TestClient) -> None:
    answer = client.post("/v1/sentiment", json={"inputs": ""})
    assert answer.status_code == 422
    body = answer.json()
    assert body["code"] == "empty_text"
    assert body["error"].startswith("inputs.0: the text is empty")
    assert body["errors"] == [{"index": 0, "code": "empty_text", "message": body["error"].removeprefix("inputs.0: ")}]


def test_explain_gives_each_token_a_weight_and_its_place(client: TestClient) -> None:
    text = "“What a GREAT film!” — don’t"
    (result,) = ask(client, inputs=text, explain=True)["results"]
    tokens = result["explanation"]
    assert len(tokens) == result["tokens"]
    assert all(text[token["start"] : token["end"]] == token["text"] for token in tokens)
    best = max(tokens, key=lambda token: token["weight"])
    assert best["text"] == "GREAT"


def test_sentences_get_labels_of_their_own(client: TestClient) -> None:
    text = f"{GOOD.capitalize()}. {BAD.capitalize()}."
    (result,) = ask(client, inputs=text, sentences=True)["results"]
    spans = [(text[part["start"] : part["end"]], part["label"]) for part in result["sentences"]]
    assert spans == [(f"{GOOD.capitalize()}.", "positive"), (f"{BAD.capitalize()}.", "negative")]


def test_sentences_beyond_the_limit_are_counted_as_left_out(make_client: MakeClient) -> None:
    (result,) = ask(make_client(max_sentences=2), inputs="Good. Bad. Good. Bad.", sentences=True)["results"]
    assert (len(result["sentences"]), result["sentences_left_out"]) == (2, 2)


def test_a_long_text_is_answered_from_its_head_and_says_so(client: TestClient) -> None:
    (result,) = ask(client, inputs="good " * 5_000)["results"]
    assert result["truncated"]
    assert result["label"] == "positive"


def test_a_text_without_letters_is_answered(client: TestClient) -> None:
    answer = client.post("/v1/sentiment", json={"inputs": ["good", "!"]}).json()
    assert answer["results"][0]["language"] == "en"
    assert all(error["code"] == "no_usable_text" for error in answer["errors"])


def test_a_model_and_a_version_can_be_named(make_client: MakeClient, tmp_path: Path) -> None:
    copy_tiny(tmp_path, version=1)
    copy_tiny(tmp_path, version=2)
    copy_tiny(tmp_path, "other")
    client = make_client(tmp_path)
    assert ask(client, inputs=GOOD, model="tiny")["version"] == 2
    assert ask(client, inputs=GOOD, model="tiny", version=1)["version"] == 1
    assert client.post("/v1/sentiment", json={"inputs": GOOD}).json()["code"] == "ambiguous_model"


def test_texts_of_two_languages_go_to_two_packages(make_client: MakeClient, tmp_path: Path) -> None:
    copy_tiny(tmp_path, "english")
    copy_tiny(tmp_path, "russian", edit=lambda manifest: manifest.update(languages=["ru"]))
    answer = ask(make_client(tmp_path), inputs=[GOOD, "фильм good", GOOD])
    assert answer["model"] == "english"
    assert [result.get("model") for result in answer["results"]] == [None, "russian", None]


def test_a_named_language_goes_before_the_script(client: TestClient) -> None:
    assert (
        client.post("/v1/sentiment", json={"inputs": GOOD, "language": "fr"}).json()["code"] == "unsupported_language"
    )


@pytest.mark.parametrize(
    ("body", "status", "code", "text"),
    [
        (b"", 400, "malformed_json", "the body is not JSON"),
        (b"{", 400, "malformed_json", "the body is not JSON"),
        (b'{"inputs": "\xff"}', 400, "malformed_json", "the body is not JSON"),
        (b'{"inputs": "\\ud800"}', 400, "malformed_json", "the body is not JSON"),
        (b"[" * 5_000, 400, "malformed_json", "the body is not JSON"),
        (b"[]", 422, "invalid_request", "the body is not an object; expected a JSON object"),
        (b"{}", 422, "invalid_request", "inputs is missing; expected a text or a list of texts"),
        (b'{"inputs": 3}', 422, "invalid_request", "inputs is 3; "),
        (b'{"inputs": []}', 422, "invalid_request", "inputs is []; expected a text or a list of at least one text"),
        (b'{"inputs": ["a", 3]}', 422, "invalid_request", "inputs.1 is 3; input should be a valid string"),
        (b'{"inputs": "a", "text": "b"}', 422, "invalid_request", "text is no field of this request; expected some of"),
        (b'{"inputs": "a", "explain": "yes"}', 422, "invalid_request", "explain is 'yes'; "),
        (b'{"inputs": "a", "version": 0}', 422, "invalid_request", "version is 0; "),
        (b'{"inputs": "a", "language": "English"}', 422, "invalid_request", "language is 'English'; "),
        (b'{"inputs": "a", "model": "../tiny"}', 422, "invalid_request", "model is '../tiny'; "),
        (b'{"inputs": "a", "model": "tony"}', 404, "model_not_found", "expected one of ['tiny']"),
        (b'{"inputs": "a", "model": "tiny", "version": 8}', 404, "model_not_found", "expected one of [1]"),
    ],
)
def test_a_wrong_request_is_refused_with_field_value_and_expectation(
    client: TestClient, body: bytes, status: int, code: str, text: str
) -> None:
    answer = client.post("/v1/sentiment", content=body, headers={"content-type": "application/json"})
    found = answer.json()
    assert (answer.status_code, found["code"]) == (status, code)
    assert text in found["error"]
    assert found["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("header", "value"), [("content-type", "text/xml"), ("content-type", "text/plain"), ("content-encoding", "br")]
)
def test_a_body_of_another_kind_is_415(client: TestClient, header: str, value: str) -> None:
    answer = client.post("/v1/sentiment", content=b'{"inputs":"a"}', headers={header: value})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert value in answer.json()["error"]


def test_curls_default_content_type_is_read_as_json(client: TestClient) -> None:
    answer = client.post(
        "/v1/sentiment", content=b'{"inputs":"good"}', headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 200


def test_too_many_items_are_413(make_client: MakeClient) -> None:
    answer = make_client(max_items=2).post("/v1/sentiment", json={"inputs": ["a", "b", "c"]})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_items")
    assert answer.json()["error"] == "inputs has 3 texts; expected at most 2"


def test_a_deadline_that_passes_is_504(make_client: MakeClient) -> None:
    client = make_client(timeout_ms=1, max_items=5_000, max_batch_rows=1)
    answer = client.post("/v1/sentiment", json={"inputs": ["good film " * 100] * 500})
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert 'sluice_dropped_total{reason="expired"}' in client.get("/metrics").text


def test_a_refused_package_named_is_503_and_the_others_answer(make_client: MakeClient, tmp_path: Path) -> None:
    copy_tiny(tmp_path, "good")
    (copy_tiny(tmp_path, "broken") / "model.onnx").unlink()
    client = make_client(tmp_path)
    answer = client.post("/v1/sentiment", json={"inputs": GOOD, "model": "broken"})
    assert (answer.status_code, answer.json()["code"]) == (503, "model_unavailable")
    assert ask(client, inputs=GOOD)["model"] == "good"
