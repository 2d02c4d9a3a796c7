"""Bulk streams meet keys, limits and packed bodies as every other route does."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.keys.key import line_of, mint
from tests.server import Server, serving

GOOD, BAD = b'"a good film"\n', b'"a bad film"\n'
LINE_BYTES = 1000
KEYS: dict[str, dict[str, Any]] = {
    "free": {"scopes": ["predict"]},
    "watcher": {"scopes": ["metrics"]},
    "limited": {"scopes": ["predict"], "items_per_minute": 60},
}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """Yield a service that asks for keys, and the keys by name."""
    file, secrets = tmp_path_factory.mktemp("keys") / "keys.toml", {name: mint() for name in KEYS}
    file.write_text("\n".join(line_of(name, secrets[name], more) for name, more in KEYS.items()), "utf-8")
    with serving(api_keys_file=file, max_bulk_line_bytes=LINE_BYTES, max_body_bytes=4096) as server:
        yield server, secrets


def post(keyed: tuple[Server, dict[str, str]], name: str, body: Any, **headers: str) -> httpx.Response:
    server, secrets = keyed
    key = {"Authorization": f"Bearer {secrets.get(name, name)}"} if name else {}
    return httpx.post(f"{server.url}/v1/sentiment/bulk", content=body, headers=key | headers, timeout=30)


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def told(found: list[dict[str, Any]]) -> list[Any]:
    return [line.get("label", line.get("code")) for line in found]


def gzipped(keyed: tuple[Server, dict[str, str]], body: Any) -> httpx.Response:
    return post(keyed, "free", body, **{"Content-Encoding": "gzip"})


@pytest.mark.parametrize(("name", "status"), [("", 401), ("nobody", 401), ("watcher", 403), ("free", 200)])
def test_a_stream_needs_a_key_of_its_scope(keyed: tuple[Server, dict[str, str]], name: str, status: int) -> None:
    assert post(keyed, name, GOOD).status_code == status


def test_a_limited_key_is_answered_in_full_as_fast_as_it_may(keyed: tuple[Server, dict[str, str]]) -> None:
    found = lines(
        post(keyed, "limited", GOOD * 62)
    )  # two more than it may ask for at once: they wait for a second each
    assert told(found) == ["positive"] * 62
    server, secrets = keyed
    asked = {"inputs": ["a good film"] * 30}
    refused = httpx.post(f"{server.url}/v1/sentiment", json=asked, headers={"X-API-Key": secrets["limited"]})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["ratelimit-policy"] == '"items";q=60;w=60'


def test_a_packed_stream_is_answered_line_by_line(keyed: tuple[Server, dict[str, str]]) -> None:
    assert told(lines(gzipped(keyed, gzip.compress(GOOD + BAD)))) == ["positive", "negative"]
    members = gzip.compress(GOOD) + gzip.compress(BAD)
    assert told(lines(gzipped(keyed, members))) == ["positive", "negative"], "as `cat a.gz b.gz` makes it"


def test_a_packed_stream_may_be_longer_than_any_other_body(keyed: tuple[Server, dict[str, str]]) -> None:
    raw = b"".join(json.dumps(f"a good film, number {at}").encode() + b"\n" for at in range(5_000))
    found = lines(gzipped(keyed, gzip.compress(raw)))
    assert [line["index"] for line in found] == list(range(5_000))


def test_what_is_packed_too_well_is_refused_before_it_is_unpacked(keyed: tuple[Server, dict[str, str]]) -> None:
    bomb = gzip.compress(b"\n" * 100_000_000, 9)
    refused = gzipped(keyed, bomb)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert "times" in refused.json()["error"]


def test_a_line_that_is_too_long_packed_is_told_in_its_place(keyed: tuple[Server, dict[str, str]]) -> None:
    long = json.dumps("".join(f"word{at} " for at in range(LINE_BYTES))).encode() + b"\n"
    found = lines(gzipped(keyed, gzip.compress(GOOD + long + BAD)))
    assert told(found) == ["positive", "line_too_long", "negative"]
    assert str(LINE_BYTES) in found[1]["message"]


@pytest.mark.parametrize(
    "broken",
    [b"no gzip at all", gzip.compress(GOOD * 99)[:-9], zlib.compress(GOOD)],
    ids=["other", "cut short", "zlib"],
)
def test_a_body_that_is_not_gzip_or_ends_early_is_told(keyed: tuple[Server, dict[str, str]], broken: bytes) -> None:
    answer = gzipped(keyed, broken)
    last = json.loads(answer.text.splitlines()[-1])
    assert last["code"] == "malformed_encoding"
    assert "gzip" in last["error"]


def test_another_encoding_is_refused(keyed: tuple[Server, dict[str, str]]) -> None:
    refused = post(keyed, "free", GOOD, **{"Content-Encoding": "br"})
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_media_type")
    assert "expected gzip or none" in refused.json()["error"]
