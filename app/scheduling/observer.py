"""Counts what the batcher, the decoder and the watchdog do."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat

import structlog

from app.measures.batches import CACHED
from app.metrics import Metrics
from app.runtime.roster import Writer
from app.scheduling.crew import Stepped
from app.scheduling.policy import PRIORITIES, Priority
from app.scheduling.ticket import Batch, Wait
from app.scheduling.watchdog import Work
from app.tasks.generate import Summary

log = structlog.get_logger("sluice")


class BatchObserver:
    """Puts batches, drops and the queue's depth into the metrics; called on the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._wait_errors = metrics.registry.histogram(metrics.wait_error_seconds)
        last = metrics.registry.last
        self._waits = {priority: last(metrics.forecast_wait_seconds.labels(priority)) for priority in PRIORITIES}
        self._lag = last(metrics.event_loop_lag_seconds)
        self._rows, self._tokens = last(metrics.queue_rows), last(metrics.queue_tokens)

    def batch(self, batch: Batch) -> None:
        """Count one run of the runtime."""
        series = self._metrics.of_model(batch.lane.model, batch.lane.version)
        series.infer_seconds.observe(batch.ended - batch.started)
        series.forecast_seconds.inc(batch.forecast_s)
        series.batch_rows.observe(batch.rows)
        if batch.inline:
            series.inline_batches.inc()
        series.real_cells.inc(batch.tokens)
        series.padding_cells.inc(batch.cells - batch.tokens)
        series.last_inference.set(time.time())
        self._metrics.registry.settle_soon()

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that left the queue unanswered."""
        self._metrics.dropped.labels(reason).inc(rows)
        self._metrics.registry.settle_soon()

    def queue(self, rows: int, tokens: int) -> None:
        """Set what waits now; it is read once a batch or a drop has been told."""
        self._rows.set(rows)
        self._tokens.set(tokens)

    def waits(self, seconds: Mapping[Priority, float], lag_s: float) -> None:
        """Set how long would wait what comes now, and by how much the event loop is late to read it."""
        self._lag.set(lag_s)
        for priority, wait_s in seconds.items():
            self._waits[priority].set(wait_s)

    def waited(self, waits: Sequence[Wait]) -> None:
        """Count by how much each wait was misjudged."""
        self._wait_errors.observe_all([abs(seconds - forecast_s) for forecast_s, seconds in waits])


class CacheObserver:
    """Puts what the cache knew, and what it keeps, into the metrics; called on the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._rows = [metrics.cache_rows.labels(result) for result in CACHED]

    def rows(self, hits: int, shared: int, misses: int) -> None:
        """Count a job's rows."""
        for series, count in zip(self._rows, (hits, shared, misses), strict=True):
            series.inc(count)

    def kept(self, entries: int, size: int) -> None:
        """Set what is kept now."""
        self._metrics.cache_entries.set(entries)
        self._metrics.cache_bytes.set(size)


class DecodeObserver:
    """Puts steps, tokens, summaries, slots and the queue's depth into the metrics; called on the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def encoded(self, writer: Writer, tokens: int, seconds: float, queued_s: float) -> None:
        """Count a text that was read."""
        self._metrics.of_writer(writer.name, writer.version).encode_seconds.observe(seconds)
        series = self._metrics.of_model(writer.name, writer.version)
        series.queue_seconds.observe(queued_s)
        series.real_cells.inc(tokens)
        self._metrics.registry.settle_soon()

    def stepped(self, step: Stepped) -> None:
        """Count one step."""
        series = self._metrics.of_writer(step.writer.name, step.writer.version)
        series.step_seconds.observe(step.ended - step.started)
        series.step_rows.observe(step.rows)
        series.first_token_seconds.observe_all(step.first_s)
        series.inter_token_seconds.observe_all(repeat(step.gap_s, step.rows - len(step.first_s)))
        self._metrics.registry.settle_soon()

    def finished(self, writer: Writer, summary: Summary) -> None:
        """Count a whole summary."""
        series = self._metrics.of_writer(writer.name, writer.version)
        series.summaries[summary.reason].inc()
        series.tokens.inc(len(summary.tokens))
        self._metrics.of_model(writer.name, writer.version).last_inference.set(time.time())
        self._metrics.registry.settle_soon()

    def dropped(self, reason: str, rows: int) -> None:
        """Count texts that were left unanswered."""
        self._metrics.dropped.labels(reason).inc(rows)

    def queue(self, rows: int, tokens: int) -> None:
        """Set what waits now."""
        self._metrics.summary_queue_rows.set(rows)
        self._metrics.summary_queue_tokens.set(tokens)

    def slots(self, rows: int, cells: int) -> None:
        """Set what is being written now."""
        self._metrics.slots_used.set(rows)
        self._metrics.slot_cells_used.set(cells)


class HangObserver:
    """Counts and logs runs that hang and sessions that are replaced; called from any thread."""

    def __init__(self, metrics: Metrics, set_failing: Callable[[bool], None]) -> None:
        """``set_failing`` is told when runs begin to hang again and again, and when they no longer do."""
        self._metrics = metrics
        self._set_failing = set_failing

    def hung(self, work: Work, limit_s: float) -> None:
        """Count a run that was given up."""
        self._metrics.hangs.labels(work.model, work.version).inc()
        log.error("inference_hung", model=work.model, version=work.version, limit_s=round(limit_s, 3))

    def renewed(self, work: Work, broken: Exception | None) -> None:
        """Count and log what came of a session that was to be replaced."""
        result = "done" if broken is None else "failed"
        self._metrics.sessions_replaced.labels(work.model, work.version, result).inc()
        if broken is None:
            log.warning("session_renewed", model=work.model, version=work.version)
        else:
            log.error("session_not_renewed", model=work.model, version=work.version, reason=str(broken))

    def failing(self, *, failing: bool) -> None:
        """Log it, and let readiness say so."""
        self._set_failing(failing)
        if failing:
            log.critical("inference_failing")
        else:
            log.warning("inference_recovered")
