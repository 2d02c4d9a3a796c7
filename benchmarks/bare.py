"""What no decoder can beat: the same encoder and step in bare loops, with no search, no scheduler and no HTTP."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import TypeVar

import numpy as np

from app.runtime.session import Array
from app.runtime.summarizer import Summarizer
from app.scheduling.orders import Order

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second of wall-clock time, and the CPU seconds of 1,000 tokens."""

    tokens_s: float
    cpu_s_per_1k: float

    @classmethod
    def of(cls, tokens: float, seconds: float, cpu_s: float) -> "Rate":
        """Return the rate of so many tokens in so much time."""
        return cls(tokens / seconds, 1000 * cpu_s / max(1.0, tokens))


def steps_alone(model: Summarizer, orders: Sequence[Order], seconds: float, threads: int, rows: int) -> Rate:
    """Step full batches of ``rows`` texts, read beforehand, on each of the threads."""
    batches = [_read(model, batch) for batch in _batches(orders, rows, threads)]
    return _stepping(model, batches, dict.copy, seconds=seconds, threads=threads, rows=rows)


def reads_and_steps(model: Summarizer, orders: Sequence[Order], seconds: float, threads: int, rows: int) -> Rate:
    """Do likewise, and read each batch's texts, one a run, before it is stepped."""
    batches = list(_batches(orders, rows, threads))
    return _stepping(model, batches, partial(_read, model), seconds=seconds, threads=threads, rows=rows)


def timed(run: Callable[[int, float], int], seconds: float, threads: int) -> Rate:
    """Return the rate of ``run(thread, until)``, which gives its tokens, on so many threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        started, cpu_s = time.perf_counter(), time.process_time()
        until = started + seconds
        tokens = sum(pool.map(lambda at: run(at, until), range(threads)))
        return Rate.of(tokens, time.perf_counter() - started, time.process_time() - cpu_s)


def _stepping(
    model: Summarizer,
    batches: Sequence[T],
    feeds_of: Callable[[T], dict[str, Array]],
    *,
    seconds: float,
    threads: int,
    rows: int,
) -> Rate:
    """Step one batch after the other on each of the threads, from the feeds that are made of it."""

    def run(at: int, until: float) -> int:
        tokens = 0
        for batch in _from(batches, at, threads):
            feeds = feeds_of(batch)
            tokens += _steps(model, feeds, rows, feeds["steps"].item(), until)
            if time.perf_counter() >= until:
                break
        return tokens

    return timed(run, seconds, threads)


def _batches(orders: Sequence[Order], rows: int, threads: int) -> Iterator[list[Order]]:
    """Yield what is under way at once, as it comes, cut into a batch a thread of like source length each."""
    at_once = rows * threads
    for at in range(0, len(orders) - at_once + 1, at_once):
        by_length = sorted(orders[at : at + at_once], key=lambda order: len(order.draft.ids))
        for first in range(0, at_once, rows):
            yield by_length[first : first + rows]


def _from(batches: Sequence[T], at: int, threads: int) -> Iterator[T]:
    """Yield the batches for ever, beginning at this thread's part of them."""
    first = at * len(batches) // threads
    return cycle([*batches[first:], *batches[:first]])


def _read(model: Summarizer, batch: list[Order]) -> dict[str, Array]:
    """Return the feeds of a batch's first step and, as ``steps``, the mean length of its summaries."""
    beams, rows = batch[0].options.beams, len(batch)
    read = [model.encode(order.draft.ids, order.draft.kind) for order in batch]
    lens = np.array([len(order.draft.ids) for order in batch], np.int64)  # [rows]
    width = int(lens.max())
    memory = np.zeros((rows, width, read[0].memory.shape[1]), np.float32)  # [rows, W, M]
    keys = np.zeros((rows, width, read[0].keys.shape[1]), np.float32)  # [rows, W, A]
    ids = np.full((rows, width), model.pad_id, np.int64)  # [rows, W]
    for at, (order, encoded) in enumerate(zip(batch, read, strict=True)):
        memory[at, : lens[at]], keys[at, : lens[at]] = encoded.memory, encoded.keys
        ids[at, : lens[at]] = order.draft.ids
    state = np.stack([encoded.state for encoded in read])[:, None]  # [rows, 1, S]
    return {
        "tokens": np.full((rows, beams), model.bos_id, np.int64),
        "state": np.repeat(state, beams, axis=1),
        "coverage": np.zeros((rows, beams, width), np.float32),
        "memory": memory,
        "keys": keys,
        "ids": ids,
        "lens": lens,
        "banned": np.full((rows, beams, 1), model.eos_id, np.int64),
        "free": np.zeros(rows, np.float32),
        "k": np.array([batch[0].options.candidates], np.int64),
        "steps": np.array(round(sum(order.options.max_tokens for order in batch) / rows)),
    }


def _steps(model: Summarizer, feeds: dict[str, Array], rows: int, steps: int, until: float) -> int:
    """Step a batch and feed each beam its best token; return the tokens, one a row and step."""
    feeds.pop("steps")
    for done in range(steps):
        if time.perf_counter() >= until:
            return done * rows
        found = model.step(feeds)
        feeds["tokens"], feeds["state"], feeds["coverage"] = found.top_ids[:, :, 0], found.state, found.coverage
    return steps * rows
