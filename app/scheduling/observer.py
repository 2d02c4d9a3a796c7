"""Counts what the batcher does."""

from app.metrics import Metrics
from app.scheduling.batcher import Batch


class BatchObserver:
    """Puts batches, drops and the queue's depth into the metrics; called on the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def batch(self, batch: Batch) -> None:
        """Count one run of the runtime."""
        series = self._metrics.of_model(batch.lane.model, batch.lane.version)
        series.infer_seconds.observe(batch.ended - batch.started)
        series.batch_rows.observe(batch.rows)
        series.real_cells.inc(batch.tokens)
        series.padding_cells.inc(batch.cells - batch.tokens)

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that left the queue unanswered."""
        self._metrics.dropped.labels(reason).inc(rows)

    def queue(self, rows: int, tokens: int) -> None:
        """Set what waits now."""
        self._metrics.queue_rows.set(rows)
        self._metrics.queue_tokens.set(tokens)
