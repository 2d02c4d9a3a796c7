"""JSON bodies, written by orjson: the standard library's encoder costs twenty times as much."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi.responses import Response

MEDIA_TYPE = "application/json"


def json_response(
    content: Mapping[str, Any] | list[Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return ``content`` as a JSON answer."""
    return Response(orjson.dumps(content), status, headers, media_type=MEDIA_TYPE)
