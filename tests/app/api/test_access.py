"""Who may ask for what."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.access import SCOPES, access_of, require_scopes
from app.errors import SettingsError
from app.keys.key import SCOPES as KEY_SCOPES
from app.keys.key import line_of, mint
from app.main import create_app
from app.settings import Settings
from tests.app.api.conftest import MakeClient
from tests.packages import PACKAGES

TEXT = {"inputs": "good film"}


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """Write a file with one key a scope, and an expired one; return them by name."""
    made = {name: mint() for name in (*KEY_SCOPES, "old")}
    lines = [
        line_of(name, secret, {"scopes": [name if name != "old" else "predict"]} | _end(name))
        for name, secret in made.items()
    ]
    (tmp_path / "keys.toml").write_text("\n".join(lines), "utf-8")
    return made


def _end(name: str) -> dict[str, Any]:
    return {"expires": "2001-01-01"} if name == "old" else {}


@pytest.fixture
def guarded(keys: dict[str, str], make_client: MakeClient, tmp_path: Path) -> TestClient:
    assert keys
    return make_client(api_keys_file=tmp_path / "keys.toml")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "x-api-key"])
def test_a_key_opens_its_scope_and_no_other(guarded: TestClient, keys: dict[str, str], header: str) -> None:
    def ask(name: str, method: str, path: str) -> int:
        value = f"bEARER {keys[name]}" if header == "Authorization" else keys[name]
        return guarded.request(method, path, headers={header: value}, json=TEXT).status_code

    routes = {"predict": [("POST", "/v1/sentiment"), ("GET", "/v1/models/tiny")], "metrics": [("GET", "/metrics")]}
    for scope, asked in routes.items():
        for method, path in asked:
            for name in KEY_SCOPES:
                assert ask(name, method, path) == (200 if name == scope else 403), (name, path)


def test_what_holds_not_and_what_is_not_there_are_refused_in_the_same_words(
    guarded: TestClient, keys: dict[str, str]
) -> None:
    tried: list[dict[str, str]] = [
        {},
        {"Authorization": f"Bearer {mint()}"},
        {"Authorization": f"Bearer {keys['old']}"},
        {"Authorization": f"Basic {keys['predict']}"},
        {"Authorization": "Bearer "},
        {"X-API-Key": ""},
        {"X-API-Key": keys["predict"] + "x"},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {keys['predict']}"},
    ]
    said = set()
    for headers in tried:
        answer = guarded.post("/v1/sentiment", json=TEXT, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="sluice"'), headers
        said.add((answer.json()["error"], answer.json()["code"]))
    assert len(said) == 1


def test_a_refusal_for_scope_says_which_is_needed(guarded: TestClient, keys: dict[str, str]) -> None:
    answer = guarded.get("/metrics", headers={"X-API-Key": keys["predict"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert "'metrics'" in answer.json()["error"]


def test_probes_and_the_documentation_need_no_key(guarded: TestClient) -> None:
    for path in ("/health/live", "/health/ready", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200


def test_refusals_are_counted_and_a_key_is_logged_by_name_alone(
    guarded: TestClient, keys: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    from app import logs  # noqa: PLC0415 - configured after the client, so that its output is this test's

    logs.configure("json", "info")
    guarded.post("/v1/sentiment", json=TEXT)
    guarded.get("/metrics", headers={"X-API-Key": keys["predict"]})
    guarded.post("/v1/sentiment", json=TEXT, headers={"X-API-Key": keys["predict"]})
    text = guarded.get("/metrics", headers={"X-API-Key": keys["metrics"]}).text
    assert 'sluice_rejected_total{reason="unauthorized"} 1.0' in text
    assert 'sluice_rejected_total{reason="forbidden"} 1.0' in text
    out = capsys.readouterr().out
    assert not [secret for secret in keys.values() if secret in out or secret[7:20] in out]


def test_without_a_file_all_but_admin_is_open_on_loopback(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCOPES, "/v1/sentiment", "admin")
    assert client.get("/metrics", headers={"X-API-Key": "whatever"}).status_code == 200
    for headers in ({}, {"X-API-Key": "whatever"}, {"X-API-Key": ""}):
        assert client.post("/v1/sentiment", json=TEXT, headers=headers).status_code == 401


def test_with_a_file_and_anonymous_callers_only_admin_needs_a_key_and_a_wrong_key_is_none(
    keys: dict[str, str], make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(api_keys_file=tmp_path / "keys.toml", allow_anonymous=True)
    assert client.post("/v1/sentiment", json=TEXT).status_code == 200
    assert client.post("/v1/sentiment", json=TEXT, headers={"X-API-Key": "wrong"}).status_code == 401
    monkeypatch.setitem(SCOPES, "/v1/sentiment", "admin")
    assert client.post("/v1/sentiment", json=TEXT).status_code == 401
    assert client.post("/v1/sentiment", json=TEXT, headers={"X-API-Key": keys["admin"]}).status_code == 200


def test_a_route_without_a_scope_is_not_served(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SCOPES, "/v1/sentiment")
    answer = client.post("/v1/sentiment", json=TEXT)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")
    with pytest.raises(RuntimeError, match="/v1/sentiment"):
        require_scopes(["/v1/sentiment"])


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models/..", "/v1/models/%2e%2e", "/v1/models/a%2Fb", "/v1/models/a%00b", "/v1/models/%0a", "//metrics"),
        *("/metrics/", "/v1//models", "/METRICS", "/v1/models/tiny%0a", "/docs/oauth2-redirect", "/v1/models/.git"),
    ],
)
def test_a_path_that_is_not_exactly_a_routes_is_404(client: TestClient, path: str) -> None:
    answer = client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")


def test_listening_beyond_loopback_needs_keys_or_a_decision(
    tmp_path: Path, keys: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):  # noqa: S104 - the point
        with pytest.raises(SettingsError, match="SLUICE_ALLOW_ANONYMOUS=1"):
            create_app(Settings(models_dir=PACKAGES, host=host))
        access_of(Settings(host=host, api_keys_file=tmp_path / "keys.toml"))
        access_of(Settings(host=host, allow_anonymous=True))
        assert "anonymous_allowed" in capsys.readouterr().out
    for host in ("localhost", "127.0.0.5", "::1"):
        access_of(Settings(host=host))
        assert "anonymous_allowed" not in capsys.readouterr().out
    assert keys


def test_every_path_of_the_documentation_says_which_key_it_needs() -> None:
    document = create_app(Settings(models_dir=PACKAGES)).openapi()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "x-api-key"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            keyed = SCOPES[path] != "open"
            assert keyed == ("security" in operation) == ({"401", "403"} <= operation["responses"].keys())


def test_a_limited_key_is_told_what_is_left_and_refused_when_nothing_is(
    make_client: MakeClient, tmp_path: Path
) -> None:
    secret = mint()
    limits = {"scopes": ["predict", "metrics"], "items_per_minute": 3, "tokens_per_minute": 5}
    (tmp_path / "keys.toml").write_text(line_of("ci", secret, limits), "utf-8")
    client = make_client(api_keys_file=tmp_path / "keys.toml")
    client.headers["X-API-Key"] = secret
    first = client.post("/v1/sentiment", json={"inputs": ["good film", "bad"]})
    assert first.status_code == 200
    assert first.headers["ratelimit-policy"] == '"items";q=3;w=60, "tokens";q=5;w=60'
    assert first.headers["ratelimit"] == '"items";r=1;t=40, "tokens";r=2;t=36'
    many = client.post("/v1/sentiment", json={"inputs": ["good film", "bad"]})
    assert (many.status_code, many.json()["code"], many.headers["retry-after"]) == (429, "rate_limited", "20")
    long = client.post("/v1/sentiment", json={"inputs": "good good good"})
    assert (long.status_code, long.json()["code"]) == (429, "rate_limited")
    assert "tokens" in long.json()["error"]
    text = client.get("/metrics").text
    for series in ("requests_total", "items_total", "tokens_total", "limited_total"):
        assert f'sluice_key_{series}{{key="ci"}}' in text
    assert 'sluice_key_limited_total{key="ci"} 2.0' in text
    assert 'sluice_rejected_total{reason="rate_limited"} 2.0' in text
