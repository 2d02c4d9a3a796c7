"""The OpenAPI document is what the real service does: schemathesis asks every route by it, with every check on."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from app.main import create_app
from app.settings import Settings
from tests.packages import PACKAGES, every_task
from tests.parrot import parrot, weigher
from tests.server import Server, serving

CONFIG = SchemathesisConfig.from_dict(
    {
        # HTTP lets anybody send headers that nobody knows, and they are not read here.
        "generation": {"allow-extra-parameters": False},
        "checks": {
            # A text can be well-formed and have no answer (no word of it is known, no package has its language), and
            # what is asked of a package may be more than it has. Both are documented, with 400 in /v2.
            "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404", "422", "429"]}
        },
        "operations": [
            {
                # In a bulk stream a bad line is a line of the answer.
                "include-path-regex": "/bulk$",
                "checks": {
                    "negative_data_rejection": {"expected-statuses": ["200", "400", "404", "405", "415", "422"]}
                },
            }
        ],
    }
)


def _document() -> dict[str, Any]:
    """Return the service's document without the header by which a caller asks for a 504, as with one millisecond."""
    told = create_app(Settings(models_dir=PACKAGES)).openapi()
    for operations in told["paths"].values():
        for operation in operations.values():
            given = operation.get("parameters", [])
            operation["parameters"] = [one for one in given if one["name"] != "X-Request-Timeout-Ms"]
    return told


DOCUMENT = schemathesis.openapi.from_dict(_document(), config=CONFIG)


@schemathesis.serializer("application/x-ndjson")
def _as_lines(_: Any, value: Any) -> bytes:
    """Return any value as a line of JSON."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = every_task(tmp_path_factory.mktemp("packages"))
    parrot(root)
    weigher(root)
    with serving(root) as running:
        yield running
        assert not [line for line in running.lines if "Traceback" in line or '"internal_error"' in line]


@pytest.mark.timeout(900)
@DOCUMENT.parametrize()
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_a_route_does_what_its_documentation_says(case: schemathesis.Case[Any], server: Server) -> None:
    case.call_and_validate(base_url=server.url, timeout=60)
