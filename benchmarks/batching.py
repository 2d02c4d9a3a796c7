"""The control: batches that run until their last summary is done, before the next begins."""

import time
from collections.abc import Sequence

from app.runtime.roster import Roster
from app.runtime.summarizer import Summarizer
from app.scheduling.decoder import Order
from app.tasks.generate import Ask, Found, Search
from benchmarks.bare import Rate, timed


def static(model: Summarizer, orders: Sequence[Order], seconds: float, threads: int, rows: int) -> Rate:
    """Summarize the orders as they come, ``rows`` of them at a time on each of the threads.

    Reading, search and arrays are the decoder's own. A row that is done is stepped on, unheard, until its batch is.
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
    options = batch[0].options
    roster = Roster(model, options.beams, options.candidates)
    for order in batch:
        roster.join(order.draft)
    searches = [Search(order.options, model.bos_id, model.eos_id) for order in batch]
    asks: list[Ask] = [search.ask() for search in searches]
    tokens = 0
    while time.perf_counter() < until and not all(search.done for search in searches):
        for at, found in enumerate(roster.step(asks)):
            tokens += _told(searches[at], found)
            if not searches[at].done:
                asks[at] = searches[at].ask()
    return tokens


def _told(search: Search, found: Found | Exception) -> int:
    """Tell a search that is not done; return the tokens that this decides."""
    if isinstance(found, Exception):
        raise found
    if search.done:
        return 0
    before = search.length
    search.tell(found)
    return search.length - before
