"""Packages are opened and closed by NVIDIA's client, over HTTP and gRPC, with a key alone."""

from pathlib import Path

import httpx
import pytest

from tests.foreign import session
from tests.operating import keys_file
from tests.packages import copy_tiny
from tests.server import serving

pytestmark = pytest.mark.timeout(600)  # the clients may have to be installed first


def test_a_client_with_an_admin_key_opens_and_closes_packages(tmp_path: Path) -> None:
    copy_tiny(tmp_path / "models")
    file, secret = keys_file(tmp_path)
    with serving(tmp_path / "models", api_keys_file=file, allow_anonymous=1, grpc_port=0) as server:
        grpc = f"127.0.0.1:{server.logged('grpc_listening')['port']}"
        told = session("triton_repository.py", server.url.removeprefix("http://"), grpc, secret)
        for found in told.values():
            assert found["ready"] == [True, False, True]
            assert "API key" in found["without a key"]
            assert "'nobody' is not" in found["unknown"]
            assert "models folder alone" in found["brought along"]


def test_an_alias_stands_where_a_version_does(tmp_path: Path) -> None:
    copy_tiny(tmp_path / "models", version=1)
    copy_tiny(tmp_path / "models", version=2)
    file, secret = keys_file(tmp_path)
    with serving(tmp_path / "models", api_keys_file=file, allow_anonymous=1) as server:
        aliases = {"aliases": {"stable": {"version": 1}}}
        key = {"Authorization": f"Bearer {secret}"}
        httpx.put(f"{server.url}/admin/models/tiny/aliases", json=aliases, headers=key).raise_for_status()
        text = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a good film"]}
        for path, version, alias in (("", "1", "stable"), ("/versions/latest", "2", "latest")):
            answer = httpx.post(f"{server.url}/v2/models/tiny{path}/infer", json={"inputs": [text]}).json()
            assert (answer["model_version"], answer["parameters"]) == (version, {"alias": alias})
        assert httpx.get(f"{server.url}/v2/models/tiny/versions/nothing").status_code == 404
