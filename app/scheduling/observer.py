"""Counts what the batcher does."""

from app.metrics import Metrics
from app.scheduling.batcher import Batch


class BatchObserver:
    """Puts batches, drops and the queue's depth into the metrics; called on the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def batch(self, batch: Batch) -> None:
        """Count one run of the runtime."""
        labels = batch.lane.model, batch.lane.version
        self._metrics.infer_seconds.labels(*labels).observe(batch.ended - batch.started)
        self._metrics.batch_rows.labels(*labels).observe(batch.rows)
        self._metrics.cells.labels(*labels, "real").inc(batch.tokens)
        self._metrics.cells.labels(*labels, "padding").inc(batch.cells - batch.tokens)

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that left the queue unanswered."""
        self._metrics.dropped.labels(reason).inc(rows)

    def queue(self, rows: int, tokens: int) -> None:
        """Set what waits now."""
        self._metrics.queue_rows.set(rows)
        self._metrics.queue_tokens.set(tokens)
