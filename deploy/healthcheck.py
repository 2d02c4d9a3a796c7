"""Exit 0 where the service in this container is ready to take requests, and 1 with the reason where it is not.

Docker runs it every few seconds on the cores that answer requests, so it imports nothing but the socket: a start of
Python with `http.client` costs several times as much.
"""

import os
import socket
import sys

TIMEOUT_S = 2.0
REQUEST = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def status_line(port: int) -> str:
    """Return the first line of the answer of /health/ready, such as ``HTTP/1.1 200 OK``."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall(REQUEST)
        return connection.makefile("rb").readline().decode("latin-1").strip()


def main() -> int:
    """Ask once and tell the exit status."""
    try:
        line = status_line(int(os.environ.get("SLUICE_PORT", "8000")))
    except (OSError, ValueError) as failure:
        line = str(failure)
    if line.startswith(("HTTP/1.1 200", "HTTP/1.0 200")):
        return 0
    sys.stdout.write(f"not ready: {line or 'no answer'}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
