"""The decoder against its own ceiling and against static batching, in one run.

    python -m benchmarks.decoding [--model models/summarize-en] [--rounds 3] [--seconds 4]

Writes its part of docs/decoding.md and of the JSON beside it. Needs wrk.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from app.modelpack.store import latest, open_package
from app.runtime.providers import choose
from app.runtime.roster import Writer
from app.runtime.summarizer import Summarizer
from app.runtime.threads import usable_cores
from app.scheduling.cost import Costs
from app.scheduling.crew import Stepped
from app.scheduling.decoder import Decoder
from app.scheduling.orders import Order
from app.scheduling.slots import Room
from app.settings import Settings
from app.tasks.generate import Summary
from benchmarks.bare import Rate, reads_and_steps, steps_alone
from benchmarks.batching import static
from benchmarks.decoding_page import shown
from benchmarks.load import post
from benchmarks.orders import Work, mixed
from benchmarks.report import DECODING, publish
from benchmarks.service import Service, running

MARK = "decoding"
DEFAULT = Path("models/summarize-en")
_BEAMS = (1, 4)
_TIMEOUT_S = 60
_RAMP_S = 0.5
"""Until every slot is taken."""
RATIOS = (
    ("service", "reads and steps"),
    ("decoder", "reads and steps"),
    ("service", "steps"),
    ("decoder", "steps"),
    ("decoder", "static"),
    ("service", "static"),
)

Round = dict[str, Rate]


def main(
    *,
    model: Annotated[Path, typer.Option(help="Package that writes.")] = DEFAULT,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turns.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 4,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 32,
    page: Annotated[Path, typer.Option(help="Page of the tables, beside its JSON.")] = DECODING,
) -> None:
    """Measure the bare loops, the decoder, the service and static batches in turns, and show medians and ratios."""
    if not model.is_dir():
        raise SystemExit(f"--model is '{model}'; expected the folder of a package that writes")
    writer = Summarizer.open(open_package(latest(model)), choose("cpu"))
    threads = usable_cores()
    cases: list[dict[str, Any]] = []
    with running(SLUICE_MODELS_DIR=str(model.parent)) as service:
        for beams in _BEAMS:
            work = mixed(writer, beams)
            ways = _ways(writer, work, service, threads, concurrency)
            for way in ways.values():  # warm-up
                way(1)
            found = [{name: way(seconds) for name, way in ways.items()} for _ in range(rounds)]
            cases.append({"beams": beams, "mean_tokens": work.mean_tokens, "rounds": found})
    figures = {
        "model": f"{writer.name}/{writer.version}, {writer.precision}",
        "threads": threads,
        "concurrency": concurrency,
        "seconds": seconds,
        "cases": [_summed_up(case) for case in cases],
    }
    typer.echo(publish(page, MARK, figures, shown))


def _ways(
    model: Summarizer, work: Work, service: Service, threads: int, concurrency: int
) -> dict[str, Callable[[int], Rate]]:
    """Return each way of doing the same work, by name, in the order in which they take turns."""
    rows = max(1, concurrency // threads)
    orders = work.orders
    return {
        "steps": lambda length: steps_alone(model, orders, length, threads, rows),
        "reads and steps": lambda length: reads_and_steps(model, orders, length, threads, rows),
        "decoder": lambda length: asyncio.run(_decoder(model, orders, length, threads, concurrency)),
        "service": lambda length: _service(service, work, length, concurrency),
        "static": lambda length: static(model, orders, length, threads, rows),
    }


class _Tokens:
    """Counts the tokens of every row as they are decided."""

    def __init__(self) -> None:
        self.count = 0

    def stepped(self, step: Stepped) -> None:
        self.count += step.rows

    def encoded(self, writer: Writer, tokens: int, seconds: float, queued_s: float) -> None: ...

    def finished(self, writer: Writer, summary: Summary) -> None: ...

    def dropped(self, reason: str, rows: int) -> None: ...

    def queue(self, rows: int, tokens: int) -> None: ...

    def slots(self, rows: int, cells: int) -> None: ...


async def _decoder(model: Summarizer, orders: Sequence[Order], seconds: float, threads: int, concurrency: int) -> Rate:
    """Keep so many callers asking the decoder, in this process."""
    settings, counted, following, costs = Settings(), _Tokens(), cycle(orders), Costs()
    decoder = Decoder(
        threads=threads,
        room=Room(settings.max_slots, settings.max_slot_cells),
        max_queue_tokens=settings.max_summary_queue_tokens,
        observer=counted,
        costs=costs,
    )

    async def caller() -> None:
        while True:
            await decoder.submit(model, [next(following)], _TIMEOUT_S)

    decoder.start()
    await asyncio.to_thread(costs.learn, (model, orders[0].options.beams), orders[0].draft, orders[0].options)
    callers = [asyncio.create_task(caller()) for _ in range(concurrency)]
    await asyncio.sleep(_RAMP_S)
    before, started, cpu_s = counted.count, time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    rate = Rate.of(counted.count - before, time.perf_counter() - started, time.process_time() - cpu_s)
    for each in callers:
        each.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await asyncio.to_thread(decoder.close)
    return rate


def _service(service: Service, work: Work, seconds: int, concurrency: int) -> Rate:
    """Keep so many connections asking the service."""
    before = service.metric("sluice_step_rows_sum")  # a row of a step is a token, until the last of each
    found, cpu_s = post(
        service, "/v1/summarize", work.bodies, connections=concurrency, seconds=seconds, timeout_s=_TIMEOUT_S
    )
    if found["errors"]:
        raise SystemExit(f"{found['errors']:.0f} requests failed; expected none")
    return Rate.of(service.metric("sluice_step_rows_sum") - before, found["seconds"], cpu_s)


def _summed_up(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case's medians, the medians of each round's ratios, and the rounds."""
    rounds: list[Round] = case["rounds"]
    return {
        "beams": case["beams"],
        "mean_tokens": case["mean_tokens"],
        "medians": {
            name: {
                "tokens_s": median(each[name].tokens_s for each in rounds),
                "cpu_s_per_1k": median(each[name].cpu_s_per_1k for each in rounds),
            }
            for name in rounds[0]
        },
        "ratios": {
            f"{one} / {other}": median(each[one].tokens_s / each[other].tokens_s for each in rounds)
            for one, other in RATIOS
        },
        "rounds": [{name: asdict(rate) for name, rate in each.items()} for each in rounds],
    }


if __name__ == "__main__":
    typer.run(main)
