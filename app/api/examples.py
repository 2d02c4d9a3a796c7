"""Worked examples of every route and every error, as /docs shows them."""

from typing import Any

from app.api.schemas import ErrorBody
from app.errors import RequestError, codes

_TIMINGS = {"tokenize": 0.06, "queue": 0.02, "infer": 0.41, "total": 0.71}
_GOOD = {"negative": 0.008113, "neutral": 0.014207, "positive": 0.97768}
_RESULT = {
    "index": 0,
    "label": "positive",
    "score": 0.97768,
    "scores": _GOOD,
    "language": "en",
    "tokens": 6,
    "truncated": False,
}

_REQUEST_ID = "5f0c7c1b3f0f4c5e8b8f6d4f3a2b1c0d"

SENTIMENT_REQUESTS = {
    "one text": {"value": {"inputs": "A warm and funny film."}},
    "several texts": {"value": {"inputs": ["A warm and funny film.", "The battery died in a week."]}},
    "explained": {"value": {"inputs": "A warm and funny film.", "explain": True}},
    "by sentence": {"value": {"inputs": "Great food. The service was slow.", "sentences": True}},
    "one package, one version": {"value": {"inputs": "Fine.", "model": "sentiment-en", "version": 1}},
}


def _sentiment(result: dict[str, Any], errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "value": {
            "model": "sentiment-en",
            "version": 1,
            "results": [result],
            "errors": errors or [],
            "timings_ms": _TIMINGS,
        }
    }


SENTIMENT_ANSWERS = {
    "application/json": {
        "examples": {
            "one text": _sentiment(_RESULT),
            "one bad item among good": _sentiment(
                _RESULT,
                [
                    {
                        "index": 1,
                        "code": "empty_text",
                        "message": "the text is empty; expected at least one character that is not white space",
                    }
                ],
            ),
            "explained": _sentiment(
                {**_RESULT, "explanation": [{"text": "funny", "start": 11, "end": 16, "weight": 1.204117}]}
            ),
            "by sentence": _sentiment(
                {
                    **_RESULT,
                    "sentences": [{"start": 0, "end": 11, "label": "positive", "score": 0.97768, "scores": _GOOD}],
                }
            ),
        }
    }
}

_MODEL = {
    "name": "sentiment-en",
    "task": "sentiment",
    "description": "English sentiment in three classes",
    "languages": ["en"],
    "labels": ["negative", "neutral", "positive"],
    "default_version": 1,
    "versions": [
        {
            "version": 1,
            "state": "ready",
            "reason": None,
            "precision": "int8",
            "provider": "cpu",
            "provider_note": "fell back: this ONNX Runtime has no CUDA provider",
            "max_tokens": 512,
            "evaluation": [],
        }
    ],
}
MODEL = {"application/json": {"example": _MODEL}}
MODELS = {"application/json": {"example": {"models": [_MODEL]}}}

_TEXTS = {
    "malformed_json": "the body is not JSON: EOF while parsing a value at line 1 column 0",
    "invalid_request": "inputs is missing; expected a text or a list of texts",
    "unsupported_media_type": "Content-Type is 'text/plain'; expected application/json",
    "route_not_found": "GET /v1/nothing is not served here; expected a route of GET /docs",
    "method_not_allowed": "GET /v1/sentiment is not served here; expected a route of GET /docs",
    "model_not_found": "model 'sentiment-xx' is not here; expected one of ['sentiment-en']",
    "body_too_large": "the body has 2097152 bytes; expected at most 1048576",
    "too_many_items": "inputs has 500 texts; expected at most 128",
    "queue_full": "131000 tokens are waiting and this request has 200; expected at most 131072 in all",
    "inference_failed": "the model failed on this input",
    "internal_error": "the service failed; its log has the cause under this request_id",
    "not_ready": "models are still being opened; GET /health/ready tells when they are",
    "draining": "this process is stopping; send the request to another",
    "model_unavailable": "model 'sentiment-en' was refused at start; GET /v1/models/sentiment-en says why",
    "deadline_exceeded": "no answer within the time that a request may take",
}


Responses = dict[int | str, dict[str, Any]]


def answers(*statuses: int, ok: dict[str, Any]) -> Responses:
    """Return a route's answers for its documentation: ``ok`` for 200, and one worked example an error code."""
    errors = {code: kind for code, kind in codes(RequestError).items() if issubclass(kind, RequestError)}
    refusals: Responses = {
        status: {
            "model": ErrorBody,
            "description": ", ".join(code for code, kind in errors.items() if kind.status == status),
            "content": {
                "application/json": {
                    "examples": {
                        code: {"value": {"error": _TEXTS[code], "code": code, "request_id": _REQUEST_ID}}
                        for code, kind in errors.items()
                        if kind.status == status
                    }
                }
            },
        }
        for status in statuses
    }
    return {200: ok} | refusals
