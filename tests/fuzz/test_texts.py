"""Any text at all: all of Unicode, alone and in runs, through every face of the service."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.codes import codes
from app.errors import ItemError
from tests.app.api.conftest import clients
from tests.packages import copy_tiny
from tests.parrot import parrot, weigher

BIDI = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"
WIDTHLESS = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"
COMBINING = "".join(map(chr, range(0x300, 0x370))) + "\u20dd\u0488\u1ab0"
EMOJI = "😀👩‍👩‍👧‍👦🏳️‍🌈👍🏿🇩🇪\U0001f9d1\u200d\U0001f680"
CONTROLS = "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\ufffe\uffff\U0010ffff"
ODD = st.one_of(
    st.text(),
    *(st.text(alphabet=signs + "aé好 .") for signs in (BIDI, WIDTHLESS, COMBINING, EMOJI, CONTROLS)),
    st.builds(lambda sign, times: sign * times, st.characters(exclude_categories=["Cs"]), st.integers(1, 3000)),
)
SURROGATE = st.integers(0xD800, 0xDFFF).map(chr)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("packages")
    copy_tiny(root, "sentiment-en")
    parrot(root)
    weigher(root)
    with clients() as make:
        yield make(root, max_body_bytes=1 << 22)


def post(client: TestClient, path: str, body: Any) -> dict[str, Any]:
    """Return an answer that is a good one, or an error of its texts."""
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    said: dict[str, Any] = answer.json()
    if answer.status_code != 200:
        assert answer.status_code == 422, said
        assert said["code"] in codes(ItemError), said
    return said


def check_spans(spans: list[dict[str, Any]], text: str) -> None:
    for span in spans:
        assert 0 <= span["start"] <= span["end"] <= len(text)
        if "text" in span:
            assert span["text"] == text[span["start"] : span["end"]]


@FEW
@given(ODD)
@example("\x00")
@example(WIDTHLESS * 50)
@example("a" + COMBINING * 20)
@example(BIDI + "good" + BIDI)
def test_any_text_is_classified_or_has_an_error_by_name(client: TestClient, text: str) -> None:
    said = post(client, "/v1/sentiment", {"inputs": [text], "language": "en", "explain": True, "sentences": True})
    for result in said.get("results", ()):
        assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-4)
        check_spans(result["explanation"], text)
        check_spans(result["sentences"], text)


@FEW
@given(ODD)
@example("\x00")
@example(EMOJI)
@example("Amanda: \u202egood\u202c\nJerry: \u200b")
def test_any_text_is_summarized_or_has_an_error_by_name(client: TestClient, text: str) -> None:
    said = post(client, "/v1/summarize", {"inputs": text, "language": "en", "max_tokens": 20, "explain": True})
    for result in said.get("results", ()):
        assert isinstance(result["summary"], str)
        check_spans(result.get("sentences") or [], text)
        check_spans(result.get("explanation") or [], text)


@FEW
@given(st.lists(ODD, min_size=1, max_size=3))
def test_any_text_is_inferred_or_has_an_error_by_name(client: TestClient, texts: list[str]) -> None:
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    said = client.post("/v2/models/sentiment-en/infer", json={"inputs": [tensor]})
    assert said.status_code in {200, 422}, said.text
    assert ("outputs" in said.json()) == (said.status_code == 200)


@FEW
@given(st.text(max_size=5), SURROGATE, st.text(max_size=5), st.sampled_from(["/v1/sentiment", "/v1/summarize"]))
def test_half_a_surrogate_pair_is_no_json(client: TestClient, before: str, half: str, after: str, path: str) -> None:
    body = json.dumps({"inputs": before + half + "x" + after})
    assert "\\ud" in body
    answer = client.post(path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("letter", ["a", "好", "\u0301", "\u200b", "😀", " ", "\x00"])
def test_a_million_of_one_letter_is_too_long_and_a_hundred_thousand_are_read(client: TestClient, letter: str) -> None:
    for path in ("/v1/sentiment", "/v1/summarize"):
        million = client.post(path, content=json.dumps({"inputs": letter * 700_000}, ensure_ascii=False).encode())
        assert million.status_code in {413, 422}
        assert million.json()["code"] in {"body_too_large", "text_too_long", *({"empty_text"} if letter == " " else ())}
        said = post(client, path, {"inputs": [letter * 100_000], "language": "en"})
        assert said.get("results") or said["code"] in {"empty_text", "no_usable_text"}


def test_what_has_no_width_is_no_usable_text(client: TestClient) -> None:
    assert post(client, "/v1/sentiment", {"inputs": "\u200b\u200d\ufeff", "language": "en"})["code"] in {
        "empty_text",
        "no_usable_text",
    }
