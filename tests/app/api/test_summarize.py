"""POST /v1/summarize without a socket: every option, every way of summarizing, every error by its name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.app.api.conftest import MakeClient, clients
from tests.packages import copy_tiny, edit_manifest
from tests.parrot import parrot, weigher

HEADLINE = "The quick brown fox jumps over the lazy dog."
TALK = "Amanda: I baked cookies. Do you want some?\nJerry: Sure!"
LONG = " ".join(f"Sentence number {at} is {'very ' * (at % 4)}long." for at in range(12))
CHINESE = "这个手机iPhone 15的屏幕真的漂亮。"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packages")
    parrot(root)
    parrot(root, "summarize-zh", "zh")
    weigher(root)
    copy_tiny(root, "sentiment-en")
    return root


@pytest.fixture(scope="module")
def client(packages: Path) -> Iterator[TestClient]:
    with clients() as make:
        yield make(packages)


def ask(client: TestClient, inputs: Any, **more: Any) -> Any:
    answer = client.post("/v1/summarize", json={"inputs": inputs, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def only(client: TestClient, inputs: Any, **more: Any) -> Any:
    (result,) = ask(client, inputs, **more)["results"]
    return result


def refused(client: TestClient, status: int = 422, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/summarize", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def events(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/v1/summarize", json={"stream": True, **body})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    parts = answer.text.split("\n\n")
    assert parts.pop() == ""
    assert all(part.startswith("data: ") for part in parts)
    return [json.loads(part.removeprefix("data: ")) for part in parts]


def test_a_short_text_gets_a_headline(client: TestClient) -> None:
    answer = ask(client, HEADLINE)
    (result,) = answer["results"]
    assert (answer["model"], answer["version"]) == ("summarize-en", 1)
    assert result["summary"] == HEADLINE
    assert (result["method"], result["kind"], result["finish_reason"]) == ("abstractive", "headline", "eos")
    assert result["summary_tokens"] == result["tokens"] > 5
    assert result["truncated"] is False
    assert set(answer["timings_ms"]) == {"tokenize", "queue", "extract", "generate", "first_token", "total"}
    assert 0 < answer["timings_ms"]["first_token"] <= answer["timings_ms"]["total"]


def test_a_dialogue_gets_a_dialogues_summary(client: TestClient) -> None:
    assert only(client, TALK)["kind"] == "dialogue"


def test_of_a_long_text_the_best_sentences_are_rewritten_in_its_order(client: TestClient) -> None:
    result = only(client, LONG, sentences=3)
    assert (result["method"], result["kind"]) == ("extract-then-rewrite", "abstract")
    quoted = [LONG[one["start"] : one["end"]] for one in result["sentences"]]
    assert quoted == [f"Sentence number {at} is very very very long." for at in (3, 7, 11)]
    assert [one["text"] for one in result["sentences"]] == quoted == [one["rewritten"] for one in result["sentences"]]
    assert result["summary"] == " ".join(quoted)


def test_sentences_are_quoted_with_their_places_and_scores(client: TestClient) -> None:
    answer = ask(client, LONG, method="extractive", sentences=2)
    (result,) = answer["results"]
    assert answer["model"] == "extract-en"
    assert (result["method"], result["kind"], result["finish_reason"]) == ("extractive", None, None)
    assert [one["start"] for one in result["sentences"]] == sorted(one["start"] for one in result["sentences"])
    assert all(0 <= one["score"] <= 1 and "rewritten" not in one for one in result["sentences"])
    assert result["summary"] == " ".join(one["text"] for one in result["sentences"])
    assert result["summary_tokens"] == 0


def test_a_package_that_is_named_says_how(client: TestClient) -> None:
    assert only(client, HEADLINE, model="extract-en")["method"] == "extractive"
    assert only(client, LONG, model="summarize-en", method="abstractive")["method"] == "abstractive"
    assert (
        "model 'extract-en' is for extract"
        in refused(client, inputs=HEADLINE, model="extract-en", method="abstractive")["error"]
    )
    body = refused(client, 404, inputs=HEADLINE, model="sentiment-en")
    assert (body["code"], "is for sentiment; expected a model for summarize" in body["error"]) == (
        "model_not_found",
        True,
    )


def test_chinese_is_written_without_spaces(client: TestClient) -> None:
    result = only(client, CHINESE)
    assert (result["language"], result["summary"]) == ("zh", CHINESE)


def test_texts_of_two_languages_and_a_bad_one_are_answered_each_on_its_own(client: TestClient) -> None:
    answer = ask(client, [HEADLINE, " ", CHINESE])
    assert [(one["index"], one.get("model")) for one in answer["results"]] == [(0, None), (2, "summarize-zh")]
    assert [(one["index"], one["code"]) for one in answer["errors"]] == [(1, "empty_text")]


def test_max_tokens_cuts_and_says_so(client: TestClient) -> None:
    result = only(client, HEADLINE, max_tokens=3)
    assert (result["summary_tokens"], result["finish_reason"]) == (3, "length")
    assert HEADLINE.startswith(result["summary"])


def test_an_option_that_is_left_open_gives_way_to_one_that_is_set(make_client: MakeClient, tmp_path: Path) -> None:
    folder = parrot(tmp_path)

    def between_5_and_8(manifest: dict[str, Any]) -> None:
        kind = manifest["generation"]["kinds"]["headline"]
        kind["min_tokens"]["default"], kind["max_tokens"]["default"] = 5, 8

    edit_manifest(folder, between_5_and_8)
    client = make_client(tmp_path)
    assert only(client, HEADLINE)["summary_tokens"] == 8
    assert only(client, HEADLINE, max_tokens=3)["summary_tokens"] == 3
    assert only(client, HEADLINE, min_tokens=11)["summary_tokens"] == 11
    assert only(client, "Dog")["summary_tokens"] >= 5


def test_a_text_longer_than_is_read_says_truncated(client: TestClient) -> None:
    result = only(client, "lazy dog " * 400, method="abstractive", max_tokens=5)
    assert (result["truncated"], result["tokens"]) == (True, 400)


def test_each_token_tells_where_it_looked(client: TestClient) -> None:
    result = only(client, "They met. " + HEADLINE, explain=True, method="abstractive")
    assert "".join(token["token"] for token in result["explanation"]).strip() == ("They met. " + HEADLINE).lower()
    assert all(token["copied"] for token in result["explanation"])
    first = result["explanation"][0]
    assert ("They met. " + HEADLINE)[first["start"] : first["end"]] == first["text"]


def test_where_a_rewritten_token_looked_is_told_in_the_whole_text(client: TestClient) -> None:
    result = only(client, LONG, sentences=1, explain=True)
    (sentence,) = result["sentences"]
    assert {
        (token["start"] >= sentence["start"], token["end"] <= sentence["end"]) for token in result["explanation"]
    } == {(True, True)}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"beams": 9}, "beams is 9; expected 1 to 8, which model 'summarize-en' allows for headline"),
        ({"max_tokens": 3000}, "max_tokens is 3000; expected 1 to 2000"),
        ({"min_tokens": 60}, "min_tokens is 60; expected 0 to 50"),
        ({"length_penalty": 2.5}, "length_penalty is 2.5; expected 0.0 to 2.0"),
        ({"min_tokens": 9, "max_tokens": 4}, "min_tokens is 9; expected at most max_tokens, which is 4"),
        ({"method": "extractive", "sentences": 11}, "sentences is 11; expected 1 to 10, which model 'extract-en'"),
    ],
)
def test_an_option_beyond_its_bounds_is_named_with_them(
    client: TestClient, body: dict[str, Any], expected: str
) -> None:
    found = refused(client, inputs=HEADLINE, **body)
    assert found["code"] == "option_out_of_bounds"
    assert expected in found["error"]
    assert found["errors"][0]["index"] == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "inputs is missing"),
        ({"inputs": HEADLINE, "beams": 0}, "beams is 0; input should be greater than or equal to 1"),
        ({"inputs": HEADLINE, "beams": "2"}, "beams is '2'; input should be a valid integer"),
        ({"inputs": HEADLINE, "method": "magic"}, "method is 'magic'"),
        ({"inputs": HEADLINE, "beam": 2}, "beam is no field of this request; expected some of inputs, method, kind"),
        ({"inputs": HEADLINE, "version": 1}, "version is 1 without model"),
        ({"inputs": [HEADLINE] * 2, "stream": True}, "stream is true and inputs has 2 texts; expected one text"),
        ({"inputs": HEADLINE, "stream": True, "beams": 2}, "beams is 2 and stream is true; expected 1"),
    ],
)
def test_a_request_of_the_wrong_form_names_the_field(client: TestClient, body: dict[str, Any], expected: str) -> None:
    found = refused(client, **body)
    assert found["code"] == "invalid_request"
    assert expected in found["error"]


def test_a_stream_adds_up_to_the_answer_without_one(client: TestClient) -> None:
    *said, last = events(client, inputs=HEADLINE)
    whole = ask(client, HEADLINE, beams=1)
    assert last["done"] is True
    assert last["results"] == whole["results"]
    assert "".join(one["text"] for one in said) == last["results"][0]["summary"] == HEADLINE
    counts = [one["tokens"] for one in said]
    assert len(said) > 5
    assert counts == sorted(counts)


@pytest.mark.parametrize("method", ["auto", "extractive"])
def test_a_stream_of_several_sentences_keeps_their_order(client: TestClient, method: str) -> None:
    *said, last = events(client, inputs=LONG, sentences=3, method=method)
    assert "".join(one["text"] for one in said) == last["results"][0]["summary"]
    assert len(last["results"][0]["sentences"]) == 3


def test_a_stream_that_fails_before_its_first_event_is_an_ordinary_error(client: TestClient) -> None:
    assert refused(client, inputs=" ", stream=True)["code"] == "empty_text"
    assert refused(client, 404, inputs=HEADLINE, stream=True, model="nobody")["code"] == "model_not_found"


def test_without_a_package_that_writes_texts_are_quoted(make_client: MakeClient, tmp_path: Path) -> None:
    weigher(tmp_path)
    client = make_client(tmp_path)
    assert only(client, HEADLINE)["method"] == "extractive"
    assert refused(client, 404, inputs=HEADLINE, method="abstractive")["code"] == "model_not_found"


def test_a_language_that_no_package_serves_is_that_texts_error(make_client: MakeClient, tmp_path: Path) -> None:
    weigher(tmp_path)
    answer = ask(make_client(tmp_path), [HEADLINE, CHINESE])
    assert [one["index"] for one in answer["results"]] == [0]
    (error,) = answer["errors"]
    assert (error["code"], "'zh'; expected one of ['en']" in error["message"]) == ("unsupported_language", True)


def test_where_nothing_summarizes_the_route_says_so(make_client: MakeClient) -> None:
    assert "no model that summarizes is here" in refused(make_client(), 404, inputs=HEADLINE)["error"]


def test_a_failure_under_way_is_the_last_event(make_client: MakeClient, tmp_path: Path) -> None:
    parrot(tmp_path, stumbles_at=7)
    *said, last = events(make_client(tmp_path), inputs=HEADLINE)
    assert "".join(one["text"] for one in said)
    assert (last["code"], set(last)) == ("inference_failed", {"error", "code", "request_id"})


def test_the_options_of_a_package_are_listed(client: TestClient) -> None:
    options = client.get("/v1/models/summarize-en").json()["options"]
    assert options["headline"]["beams"] == {"min": 1, "max": 8, "default": 2}
    assert client.get("/v1/models/extract-en").json()["options"]["sentences"]["default"] == 2
    assert "options" not in client.get("/v1/models/sentiment-en").json()
