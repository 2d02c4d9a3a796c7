"""gRPC calls meet keys, limits and sizes as requests do, asked by NVIDIA's client from PyPI."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.keys.key import line_of, mint
from tests.foreign import session
from tests.server import Server, serving

pytestmark = pytest.mark.timeout(600)  # the clients may have to be installed first
KEYS: dict[str, dict[str, Any]] = {
    "free": {"scopes": ["predict"]},
    "watcher": {"scopes": ["metrics"]},
    "limited": {"scopes": ["predict"], "items_per_minute": 4},
}
MESSAGE_BYTES = 1 << 16


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """Yield a service that asks for keys, and the keys by name."""
    file, secrets = tmp_path_factory.mktemp("keys") / "keys.toml", {name: mint() for name in KEYS}
    file.write_text("\n".join(line_of(name, secrets[name], more) for name, more in KEYS.items()), "utf-8")
    with serving(api_keys_file=file, grpc_port=0, max_body_bytes=MESSAGE_BYTES) as running:
        yield running, secrets


@pytest.fixture(scope="module")
def told(server: tuple[Server, dict[str, str]]) -> dict[str, Any]:
    """Return what the client tells."""
    running, secrets = server
    return session("triton_guarded.py", f"127.0.0.1:{running.logged('grpc_listening')['port']}", *secrets.values())


def test_a_call_needs_a_key_of_its_scope(told: dict[str, Any]) -> None:
    for who in ("no key", "a wrong key"):
        assert told[who][0] == "StatusCode.UNAUTHENTICATED"
        assert "API key" in told[who][1]
    assert told["another scope"][0] == "StatusCode.PERMISSION_DENIED"
    assert "'predict'" in told["another scope"][1]
    assert (told["bearer"][0], told["x-api-key"][0]) == ("OK", "OK")


def test_a_key_that_has_used_up_its_texts_hears_so(told: dict[str, Any]) -> None:
    assert [code for code, _ in told["limited"]] == ["OK", "OK", "StatusCode.RESOURCE_EXHAUSTED"]
    assert "expected at most 4 a minute" in told["limited"][2][1]


def test_a_message_is_bounded_as_a_body_is_packed_or_not(told: dict[str, Any]) -> None:
    assert told["packed"][0] == "OK"
    for which in ("big", "big and packed"):
        code, details = told[which]
        assert code == "StatusCode.RESOURCE_EXHAUSTED"
        assert "message larger than max" in details
    assert told["afterwards"][0] == "OK"


def test_no_secret_is_logged(server: tuple[Server, dict[str, str]], told: dict[str, Any]) -> None:
    assert told["bearer"]
    running, secrets = server
    assert not [line for line in running.lines if any(secret in line for secret in secrets.values())]
