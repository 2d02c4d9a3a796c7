"""Worked examples of every route and every error, as /docs shows them.

The answers are recorded from the bundled packages by scripts/record-examples, and a test asks again.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from app.api.schemas import ErrorBody
from app.codes import codes, item_codes
from app.errors import RequestError
from app.modelpack.manifest import Classifying

Responses = dict[int | str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Example:
    """A request, and the bundled packages that its answer needs."""

    body: dict[str, Any]
    packages: tuple[str, ...]


_FILM, _BATTERY = "A warm and funny film.", "The battery died within a week."

REQUESTS: dict[Classifying, dict[str, Example]] = {
    "sentiment": {
        "one text": Example({"inputs": _FILM}, ("sentiment-en",)),
        "several texts, one of them bad": Example({"inputs": [_FILM, _BATTERY, ""]}, ("sentiment-en",)),
        "explained": Example({"inputs": "Not good.", "explain": True}, ("sentiment-en",)),
        "by sentence": Example({"inputs": "Great food. The waiter was rude.", "sentences": True}, ("sentiment-en",)),
        "one package, one version": Example(
            {"inputs": "Profit rose by a third.", "model": "sentiment-en", "version": 1}, ("sentiment-en",)
        ),
        "Chinese": Example({"inputs": "房间很干净,就是有点吵。", "explain": True}, ("sentiment-zh",)),
        "English and Chinese in one request": Example(
            {"inputs": [_FILM, "电池用了一周就坏了。"]}, ("sentiment-en", "sentiment-zh")
        ),
    },
    "topic": {
        "one headline": Example({"inputs": "Central bank raises interest rates for the third time"}, ("topic-en",)),
        "explained": Example(
            {"inputs": "Late goal sends the striker's club to the final", "explain": True}, ("topic-en",)
        ),
        "English and Chinese in one request": Example(
            {"inputs": ["New telescope finds a distant planet", "国足今晚迎战日本队"]}, ("topic-en", "topic-zh")
        ),
    },
    "classify": {
        "a package of your own": Example(
            {"inputs": ["The parcel never came.", "How do I change my address?"], "model": "my-tickets"},
            ("my-tickets",),
        ),
    },
}
"""Requests to the prediction routes by task and name."""

_NEWS = (
    "The central bank raised its main interest rate by half a point on Thursday, the third rise this year. "
    "Markets had expected a smaller step."
)
_TALK = "Amanda: I baked cookies. Do you want some?\nJerry: Sure!\nAmanda: I'll bring you some tomorrow :-)"

SUMMARIES: dict[str, Example] = {
    "a headline": Example({"inputs": _NEWS}, ("summarize-en", "extract-en")),
    "a dialogue": Example({"inputs": _TALK}, ("summarize-en", "extract-en")),
    "quoted": Example({"inputs": _NEWS, "method": "extractive", "sentences": 1}, ("extract-en",)),
    "explained, at most 8 tokens": Example(
        {"inputs": _NEWS, "kind": "headline", "max_tokens": 8, "beams": 1, "explain": True}, ("summarize-en",)
    ),
    "Chinese": Example(
        {"inputs": "央行今天宣布下调存款准备金率0.5个百分点,释放长期资金约1万亿元。"}, ("summarize-zh", "extract-zh")
    ),
    "streamed": Example({"inputs": _NEWS, "stream": True}, ("summarize-en", "extract-en")),
}
"""Requests to POST /v1/summarize by name."""

RECORDED = Path(__file__).with_name("examples.json")

_ERRORS = {
    "unauthorized": "this route needs an API key that holds; expected Authorization: Bearer, or X-API-Key",
    "forbidden": "this key does not open this route; expected a key of the scope 'metrics'",
    "malformed_http": "what came is no HTTP/1.1 request; expected one",
    "malformed_encoding": "the body is not gzip, which its Content-Encoding says; expected gzip",
    "body_too_slow": "the body was not whole after 512 bytes; expected all of it within 20 s, and no gap above 5 s",
    "head_too_slow": "the request's headers were not whole; expected them within 10 s",
    "headers_too_large": "the request's line and headers have 20480 bytes; expected at most 16384",
    "too_many_connections": "4096 connections are busy, as many as are taken; come back later",
    "malformed_json": "the body is not JSON: EOF while parsing an object at line 1 column 1",
    "not_finite": "output 'y' has numbers that JSON has no form for (NaN or infinite); expected it to be asked for in "
    "binary, by binary_data",
    "invalid_inference": "input 'text' is FP32; expected BYTES",
    "invalid_request": "inputs is missing; expected a text or a list of texts",
    "unsupported_media_type": "Content-Type is 'text/plain'; expected application/json",
    "route_not_found": "GET /v1/nothing is not served here; expected a route of GET /docs",
    "stream_idle": "the client read nothing for 60 s; expected it to send and to read meanwhile",
    "method_not_allowed": "GET /v1/sentiment is not served here; expected a route of GET /docs",
    "model_not_found": "model 'sentiment-xx' is not here; expected one of ['sentiment-en']",
    "change_refused": "sentiment-en/4 was refused, and what served before serves on: model.onnx: missing; expected a "
    "regular file",
    "body_too_large": "the body has 2097152 bytes; expected at most 1048576",
    "too_many_items": "inputs has 500 texts; expected at most 128",
    "queue_full": "131000 tokens are waiting and this request has 200; expected at most 131072 in all",
    "rate_limited": "this key has 3 items left and the request has 16; expected at most 600 a minute",
    "wait_too_long": "an answer would have to wait some 2400 ms; expected at most the 2000 ms accepted now",
    "inference_failed": "the model failed on this input",
    "inference_hung": "the model did not come to an end within 10.0 s",
    "internal_error": "the service failed; its log has the cause under this request_id",
    "not_ready": "models are still being opened; GET /health/ready tells when they are",
    "draining": "this process is stopping; send the request to another",
    "model_unavailable": "model 'sentiment-en' is not open; GET /v1/models/sentiment-en says why",
    "deadline_exceeded": "no answer within the time that a request may take",
}
_ITEM_ERRORS = {
    "empty_text": "the text is empty; expected at least one character that is not white space",
    "no_usable_text": "model 'sentiment-en' knows nothing of the text; expected words it knows",
    "text_too_long": "the text has 250000 characters; expected at most 100000",
    "unsupported_language": "the text's language is 'ja'; expected one of ['en']",
    "option_out_of_bounds": "beams is 40; expected 1 to 8, which model 'summarize-en' allows for headline",
    "ambiguous_model": "2 packages for classify serve 'en'; expected a model among ['my-films', 'my-tickets']",
}
_REQUEST_ID = "5f0c7c1b3f0f4c5e8b8f6d4f3a2b1c0d"


def recorded() -> dict[str, Any]:
    """Return the recorded answers: of each GET route by its path, of each POST route by its path and request's name."""
    answers: dict[str, Any] = orjson.loads(RECORDED.read_bytes())
    return answers


def answerable(packages: Collection[str]) -> dict[Classifying, dict[str, Example]]:
    """Return those of ``REQUESTS`` that the packages can answer."""
    return {
        task: {name: example for name, example in found.items() if set(example.packages) <= set(packages)}
        for task, found in REQUESTS.items()
    }


def answerable_summaries(packages: Collection[str]) -> dict[str, Example]:
    """Return those of ``SUMMARIES`` that the packages can answer with one body of JSON."""
    return {
        name: example
        for name, example in SUMMARIES.items()
        if set(example.packages) <= set(packages) and not example.body.get("stream")
    }


def request_examples(task: Classifying) -> dict[str, Any]:
    """Return a task's requests in OpenAPI's form: those with a recorded answer, and the first in any case."""
    first, *others = REQUESTS[task]
    answers = recorded()[f"/v1/{task}"]
    return {name: {"value": REQUESTS[task][name].body} for name in (first, *others) if name == first or name in answers}


def answer_examples(task: Classifying) -> dict[str, Any]:
    """Return the recorded answers to a task's requests in OpenAPI's form, nothing where there are none."""
    answers = recorded()[f"/v1/{task}"]
    examples = {name: {"value": answer} for name, answer in answers.items()}
    return {"content": {"application/json": {"examples": examples}}} if examples else {}


def route_example(path: str) -> dict[str, Any]:
    """Return the recorded answer of a GET route in OpenAPI's form."""
    return {"application/json": {"example": recorded()[path]}}


def summary_requests() -> dict[str, Any]:
    """Return the requests to POST /v1/summarize in OpenAPI's form."""
    return {name: {"value": example.body} for name, example in SUMMARIES.items()}


def summary_examples() -> dict[str, Any]:
    """Return the recorded answers of POST /v1/summarize in OpenAPI's form, nothing where there are none."""
    examples = {name: {"value": answer} for name, answer in recorded().get("/v1/summarize", {}).items()}
    return {"content": {"application/json": {"examples": examples}}} if examples else {}


def answers(*statuses: int, ok: dict[str, Any], of_summaries: bool = False) -> Responses:
    """Return a route's answers for its documentation: ``ok`` for 200, and one worked example an error code."""
    documented: Responses = {200: ok}
    for status in statuses:
        documented[status] = _refusal(status, of_summaries=of_summaries)
    return documented


def refusal_of(status: int) -> dict[str, Any]:
    """Return a status' answer as it stands in the finished document."""
    described = _refusal(status, of_summaries=False)
    described["content"]["application/json"]["schema"] = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}
    return {field: value for field, value in described.items() if field != "model"}


def _refusal(status: int, *, of_summaries: bool) -> dict[str, Any]:
    found = [code for code, kind in codes(RequestError).items() if kind.status == status]  # type: ignore[attr-defined]
    examples = {code: {"value": _body(code, _ERRORS[code])} for code in found}
    if status == 422:  # noqa: PLR2004 - where not one text could be answered
        of_items = item_codes(of_summaries=of_summaries)
        found += of_items
        examples |= {code: {"value": _item_body(code)} for code in of_items}
    content = {"application/json": {"examples": examples}}
    return {"model": ErrorBody, "description": ", ".join(found), "content": content}


def _body(code: str, text: str) -> dict[str, Any]:
    return {"error": text, "code": code, "request_id": _REQUEST_ID}


def _item_body(code: str) -> dict[str, Any]:
    text = _ITEM_ERRORS[code]
    return _body(code, f"inputs.0: {text}") | {"errors": [{"index": 0, "code": code, "message": text}]}
