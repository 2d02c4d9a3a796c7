"""The container's health check tells ready from draining, silent and absent."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "healthcheck.py"


@contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    """Answer one connection with ``answer``, then close; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        server = threading.Thread(target=answer_one)
        server.start()
        yield int(listener.getsockname()[1])
        server.join(10)


def _ask(port: int | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(SCRIPT)]
    return subprocess.run(command, env={"SLUICE_PORT": str(port)}, capture_output=True, text=True, check=False)


def test_an_answer_of_200_is_healthy_and_says_nothing() -> None:
    with _answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as port:
        asked = _ask(port)
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(
            b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "not ready: HTTP/1.1 503 Service Unavailable", id="draining"
        ),
        pytest.param(b"", "not ready: no answer", id="closed without an answer"),
    ],
)
def test_any_other_answer_is_unhealthy_and_told(answer: bytes, reason: str) -> None:
    with _answering(answer) as port:
        asked = _ask(port)
    assert (asked.returncode, asked.stdout.strip(), asked.stderr) == (1, reason, "")


def test_a_port_where_nothing_listens_is_unhealthy_and_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    asked = _ask(port)
    assert asked.returncode == 1
    assert "refused" in asked.stdout
    assert asked.stderr == ""
