"""Keys over real sockets: a start that is refused, and rotation while the service runs."""

import signal
import time
from pathlib import Path

import httpx
import pytest

from app.keys.key import line_of, mint
from tests.e2e.test_start import start
from tests.server import Server, serving


def write(file: Path, **secrets: str) -> None:
    lines = [line_of(name, secret, {"scopes": ["predict"]}) for name, secret in secrets.items()]
    file.with_suffix(".new").write_text("\n".join(lines), "utf-8")
    file.with_suffix(".new").replace(file)


def ask(server: Server, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}", "Connection": "close"}
    return httpx.post(f"{server.url}/v1/sentiment", json={"inputs": "good film"}, headers=headers).status_code


@pytest.mark.parametrize("workers", [1, 2])
def test_keys_are_rotated_without_a_restart_in_every_worker(tmp_path: Path, workers: int) -> None:
    old, new, file = mint(), mint(), tmp_path / "keys.toml"
    write(file, old=old)
    with serving(api_keys_file=file, workers=workers) as server:
        assert {ask(server, old) for _ in range(8)} == {200}
        assert ask(server, new) == 401
        write(file, new=new)
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 20
        while {ask(server, new) for _ in range(8)} != {200} or {ask(server, old) for _ in range(8)} != {401}:
            assert time.monotonic() < until, "the new keys do not hold"
            time.sleep(0.05)
        assert server.stop() == 0
    assert not [line for line in server.lines if old in line or new in line]


def test_a_start_beyond_loopback_without_keys_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    for settings, complaint in (
        ({"SLUICE_HOST": "0.0.0.0"}, "SLUICE_ALLOW_ANONYMOUS=1"),  # noqa: S104 - it does not listen
        ({"SLUICE_API_KEYS_FILE": str(tmp_path / "nowhere")}, "cannot be read"),
    ):
        ended = start(settings | {"SLUICE_PORT": "0"})
        assert ended.returncode == 2
        assert complaint in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_limit_holds_over_all_workers(tmp_path: Path) -> None:
    secret, file = mint(), tmp_path / "keys.toml"
    file.write_text(line_of("ci", secret, {"scopes": ["predict"], "items_per_minute": 12}), "utf-8")
    with serving(api_keys_file=file, workers=2) as server:
        server.wait_ready()
        assert [ask(server, secret) for _ in range(13)] == [200] * 12 + [429]  # over a connection each
