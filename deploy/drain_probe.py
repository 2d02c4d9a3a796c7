"""Stop a service under load and tell whether every request it had begun was answered.

    python3 deploy/drain_probe.py URL -- COMMAND [ARG...]

Callers post large requests to URL without a pause. After a second COMMAND runs, which is to send the service SIGTERM;
they go on until nobody answers any more. A request that was under way when COMMAND began must be answered with 200: a
connection that is closed on it, a time-out or an error makes the drain unclean. What begins later may be refused in any
way. It needs nothing but Python, so that it runs on the machine that has the Docker.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

CALLERS = 8
LOAD_S = 1.0
SETTLED_S = 0.1
"""A request that young at the signal may still stand in the listening socket's queue, where nobody has begun it."""
GONE_AFTER = 3
"""Refusals in a row after which a caller takes the service for gone."""
TIMEOUT_S = 60.0
BODY = json.dumps({"inputs": ["A long text, of which a batch takes its time. " * 20] * 64}).encode()


@dataclass(frozen=True)
class Outcome:
    """One request: when it began and ended, and its status or what went wrong."""

    began: float
    ended: float
    status: str


def post(url: str) -> Outcome:
    """Post the large request once over a connection of its own."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_S)
    began = time.monotonic()
    try:
        connection.request("POST", parts.path, BODY, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        status = str(answer.status)
    except (OSError, http.client.HTTPException) as failure:
        status = f"{type(failure).__name__}: {failure}"
    finally:
        connection.close()
    return Outcome(began, time.monotonic(), status)


def call(url: str, outcomes: list[Outcome]) -> None:
    """Post until the service is gone."""
    refused = 0
    until = time.monotonic() + TIMEOUT_S
    while refused < GONE_AFTER and time.monotonic() < until:
        outcome = post(url)
        outcomes.append(outcome)
        refused = 0 if outcome.status.isdigit() else refused + 1


def verdict(outcomes: list[Outcome], signalled: float) -> tuple[bool, str]:
    """Judge a drain: clean where requests were under way at the signal and all of them were answered with 200."""
    under_way = [each for each in outcomes if each.began < signalled - SETTLED_S and each.ended > signalled]
    lost = [each.status for each in under_way if each.status != "200"]
    later = sum(each.began >= signalled and each.status == "200" for each in outcomes)
    told = f"{len(under_way)} requests under way at the signal, {len(lost)} lost, {later} later ones answered"
    if lost:
        told += f" ({', '.join(sorted(set(lost)))})"
    return bool(under_way) and not lost, told


def main() -> int:
    """Load, signal, wait for the end and judge."""
    match sys.argv[1:]:
        case [url, "--", *command] if command:
            pass
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    outcomes: list[Outcome] = []
    callers = [threading.Thread(target=call, args=(url, outcomes)) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    time.sleep(LOAD_S)
    signalled = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the caller's own command
    for caller in callers:
        caller.join()
    clean, told = verdict(outcomes, signalled)
    sys.stdout.write(f"{told}\n")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
