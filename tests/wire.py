"""Bytes to a server and back, for what no client library would send."""

import json
import socket
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Raw:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, url: str, timeout_s: float = 20.0) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80), timeout_s)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Send piece by piece; a server that has closed is no error here."""
        for piece in pieces:
            try:
                self.socket.sendall(piece)
            except OSError:
                return
            time.sleep(pause_s)

    def read(self, *, has_body: bool = True) -> Raw | None:
        """Return the next answer, nothing where the server closed without one; that to HEAD has no body."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0")) if has_body else 0
        while len(self._buffer) < length:
            if not self._more():
                break
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Raw(int(first.split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Wait for the server to close, whatever else it sends; tell whether it did."""
        try:
            while self._more():
                pass
        except TimeoutError:
            return False
        return True

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(65536)
        except ConnectionError:
            return False
        self._buffer += piece
        return bool(piece)


def request(body: bytes = b"", *headers: bytes, line: bytes = b"POST /v1/sentiment HTTP/1.1") -> bytes:
    """Return a request's bytes, with a Host and a Content-Length where no header here is one."""
    given = {header.partition(b":")[0].lower() for header in headers}
    lines = [line, *headers]
    if b"host" not in given:
        lines.append(b"Host: localhost")
    if not given & {b"content-length", b"transfer-encoding"} and body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def ask(url: str, sent: bytes) -> Raw:
    """Send bytes on a connection of their own and return the answer."""
    with Wire(url) as wire:
        wire.send(sent)
        answer = wire.read(has_body=not sent.startswith(b"HEAD "))
        assert answer is not None, f"no answer to {sent[:200]!r}"
        return answer
