"""Errors as HTTP answers: one place maps an error to its status, body and headers."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.api.body import json_response
from app.api.trace import Trace, trace_of
from app.errors import InternalError, MethodNotAllowed, RequestError, RouteNotFound

_BY_STATUS: dict[int, type[RequestError]] = {404: RouteNotFound, 405: MethodNotAllowed}


def refuse(error: RequestError, trace: Trace, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """Return the answer that says ``error``, with ``more`` fields in its body (a ``code`` there wins)."""
    sent = dict(headers or {})
    if error.closes:
        sent["Connection"] = "close"
    if error.retry_after_s is not None:
        sent["Retry-After"] = str(error.retry_after_s)
    return json_response(said(error, trace, **more), error.status, sent)


def said(error: RequestError, trace: Trace, **more: Any) -> dict[str, Any]:
    """Return the JSON that says ``error``, and put its code into the trace."""
    trace.error_code = more.get("code", error.code)
    return {"error": str(error), "code": error.code, "request_id": trace.request_id} | more


def fault() -> InternalError:
    """Return the error that says of a fault of the service as much as a caller may know."""
    return InternalError("the service failed; its log has the cause under this request_id")


def install(app: FastAPI) -> None:
    """Make every error that a route raises leave through ``refuse``."""

    async def on_request_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestError):
            raise TypeError("This is a bug: only RequestError is handled here")
        return refuse(error, trace_of(request.scope))

    async def on_http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else InternalError.status
        kind = _BY_STATUS.get(status, InternalError)
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        text = f"{request.method} {request.url.path} is not served here; expected a route of GET /docs"
        return refuse(kind(text), trace_of(request.scope), headers)

    app.add_exception_handler(RequestError, on_request_error)
    app.add_exception_handler(HTTPException, on_http_error)
