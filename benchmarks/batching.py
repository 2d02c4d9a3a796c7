"""The control: batches that run until their last summary is done, before the next begins."""

import time
from collections.abc import Sequence
from dataclasses import replace

from app.runtime.roster import Roster
from app.runtime.summarizer import Summarizer
from app.scheduling.orders import Order
from app.tasks.searches import End, Searches
from benchmarks.bare import Rate, timed


def static(model: Summarizer, orders: Sequence[Order], seconds: float, threads: int, rows: int) -> Rate:
    """Summarize the orders as they come, ``rows`` of them at a time on each of the threads.

    Reading, search and arrays are the decoder's own. A row that is done is stepped on, unheard, until its batch is:
    each is searched for as many tokens as the longest, and counted for its own.
    """

    def run(at: int, until: float) -> int:
        tokens, first = 0, at * len(orders) // threads
        while time.perf_counter() < until:
            batch = [orders[(first + row) % len(orders)] for row in range(rows)]
            first += rows
            tokens += _batch(model, batch, until)
        return tokens

    return timed(run, seconds, threads)


def _batch(model: Summarizer, batch: Sequence[Order], until: float) -> int:
    """Return the tokens that were decided until the batch was done or the time up."""
    wanted = [order.options.max_tokens for order in batch]
    longest = replace(batch[0].options, max_tokens=max(wanted), min_tokens=max(wanted))
    roster = Roster(model, longest.beams, longest.candidates)
    searches = Searches(roster, longest.beams, model.bos_id, model.eos_id)
    for order in batch:
        searches.join(order.draft, longest, order.numerals)
    steps = 0
    while time.perf_counter() < until and steps < max(wanted):
        _raise(searches.advance())
        steps += 1
    return sum(min(steps, tokens) for tokens in wanted)


def _raise(ends: dict[int, End]) -> None:
    for end in ends.values():
        if isinstance(end, Exception):
            raise end
