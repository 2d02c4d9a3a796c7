"""What documents of 10,000 words do to short texts beside them, and what cutting a text into tokens costs by its size.

python -m benchmarks.documents [--seconds 8] [--rate 100]
"""

import asyncio
import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from app.modelpack.store import latest, open_package
from app.modelpack.tokenizer import TextTokenizer
from benchmarks.openloop import Segment
from benchmarks.overload import drive, quantile
from benchmarks.service import Service, running
from benchmarks.texts import texts

DEFAULT = Path("models/sentiment-en")
_SIZES = (100, 500, 1_000, 2_000, 4_000, 8_000, 20_000, 60_000)
_ROUNDS = 20
_WORDS = 10_000
_TIMES = 2.0


def document() -> str:
    """Return a text of 10,000 words."""
    words = " ".join(texts("long", 200)).split()
    return " ".join((words * (_WORDS // len(words) + 1))[:_WORDS])


async def cutting_us(tokenizer: TextTokenizer) -> list[tuple[int, float, float]]:
    """Return by characters the least microseconds of cutting a text here, and of having it cut in another thread."""
    whole, found = document(), []
    for size in _SIZES:
        here = there = float("inf")
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            tokenizer.encode([whole[:size]])
            here = min(here, time.perf_counter() - started)
            started = time.perf_counter()
            await asyncio.to_thread(tokenizer.encode, [whole[:size]])
            there = min(there, time.perf_counter() - started)
        found.append((size, here * 1e6, there * 1e6))
    return found


def p99_ms(service: Service, rate: float, seconds: float, *, documents: bool) -> float:
    """Return the p99 of short texts in an open loop, beside one caller who sends document after document, or none."""
    enough, body = threading.Event(), json.dumps({"inputs": document()}).encode()

    def send() -> None:
        while not enough.is_set():
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{service.url}/v1/sentiment", body, headers)  # noqa: S310 - our own
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own loopback address
                answer.read()

    sending = threading.Thread(target=send)
    if documents:
        sending.start()
    try:
        calls = drive(service, "short", [Segment(rate, seconds)]).calls
    finally:
        enough.set()
    if documents:
        sending.join()
    return quantile(0.99, [call for call in calls if call.done]) * 1000


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Length of each measurement.")] = 8,
    rate: Annotated[float, typer.Option(min=1, help="Short texts a second.")] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that with and without documents take.")] = 3,
) -> None:
    """Print what cutting costs by size, and the p99 of short texts without and with documents beside them."""
    package = open_package(latest(DEFAULT))
    typer.echo("| characters | cut here us | in another thread us |\n|---|---|---|")
    for size, here, there in asyncio.run(cutting_us(package.tokenizer())):
        typer.echo(f"| {size:,} | {here:,.0f} | {there:,.0f} |")
    with running(SLUICE_LOG_LEVEL="warning") as service:
        p99_ms(service, rate, 2, documents=True)  # warm-up
        turns = [
            (p99_ms(service, rate, seconds, documents=False), p99_ms(service, rate, seconds, documents=True))
            for _ in range(rounds)
        ]
    without, beside = (sorted(found)[len(found) // 2] for found in zip(*turns, strict=True))
    met = "met   " if beside <= _TIMES * without else "MISSED"
    typer.echo(f"{met} p99 of short texts beside documents <= 2x: {beside:.1f} ms, {without:.1f} ms without")


if __name__ == "__main__":
    typer.run(main)
