"""Metrics of batches: the stages of a text's way, the queue, its forecast, the cache."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from app.measures.buckets import PACKAGE, ROWS, SECONDS
from app.tally import HistogramTally, LastTally, SumTally, Tallies

CACHED = ("hit", "shared", "miss")
DROPS = ("cancelled", "expired", "shed")
REPLACED = ("done", "failed")


@dataclass(frozen=True, slots=True)
class ModelSeries:
    """The series of one package that each request or batch adds to."""

    tokenize_seconds: HistogramTally
    queue_seconds: HistogramTally
    infer_seconds: HistogramTally
    forecast_seconds: SumTally
    batch_rows: HistogramTally
    inline_batches: SumTally
    real_cells: SumTally
    padding_cells: SumTally
    last_inference: LastTally
    answered: "ByTask"
    """Of texts."""


class ByTask(dict[str, SumTally]):
    """A package's series by task, each put in place when it is first asked for."""

    def __init__(self, series: Callable[[str], SumTally]) -> None:
        """``series`` makes that of a task."""
        super().__init__()
        self._series = series

    def __missing__(self, task: str) -> SumTally:
        self[task] = self._series(task)
        return self[task]


class BatchMeasures:
    """What is counted of batches, and of what waits for one."""

    def __init__(self, r: Tallies) -> None:
        self.tokenize_seconds = Histogram(
            "sluice_tokenize_duration_seconds",
            "Normalizing and tokenizing a request's texts.",
            PACKAGE,
            buckets=SECONDS,
            registry=r,
        )
        self.queue_seconds = Histogram(
            "sluice_queue_duration_seconds",
            "From submission to a request's first batch.",
            PACKAGE,
            buckets=SECONDS,
            registry=r,
        )
        self.infer_seconds = Histogram(
            "sluice_infer_duration_seconds", "One batch in the runtime.", PACKAGE, buckets=SECONDS, registry=r
        )
        self.forecast_infer_seconds = Counter(
            "sluice_forecast_infer_seconds", "What the batches were forecast to take.", PACKAGE, registry=r
        )
        self.batch_rows = Histogram("sluice_batch_rows", "Rows of a batch.", PACKAGE, buckets=ROWS, registry=r)
        self.inline_batches = Counter(
            "sluice_inline_batches", "Batches that ran on the event loop's thread.", PACKAGE, registry=r
        )
        self.cells = Counter("sluice_cells", "Cells computed: real tokens and padding.", [*PACKAGE, "kind"], registry=r)
        self.last_inference = Gauge(
            "sluice_last_inference_timestamp_seconds",
            "When the package last answered, since 1970; 0 for never.",
            PACKAGE,
            multiprocess_mode="max",
            registry=r,
        )
        self.hangs = Counter("sluice_hangs", "Runs of a graph that did not end and were given up.", PACKAGE, registry=r)
        self.sessions_replaced = Counter(
            "sluice_sessions_replaced",
            "Sessions that were to be replaced after a hang.",
            [*PACKAGE, "result"],
            registry=r,
        )
        self._declare_queue(r)
        self._declare_cache(r)

    def _declare_queue(self, r: Tallies) -> None:
        self.queue_rows = Gauge("sluice_queue_rows", "Rows waiting.", multiprocess_mode="livesum", registry=r)
        self.queue_tokens = Gauge("sluice_queue_tokens", "Tokens waiting.", multiprocess_mode="livesum", registry=r)
        self.forecast_wait_seconds = Gauge(
            "sluice_forecast_wait_seconds",
            "How long would wait what comes now.",
            ["priority"],
            multiprocess_mode="livemax",
            registry=r,
        )
        self.event_loop_lag_seconds = Gauge(
            "sluice_event_loop_lag_seconds",
            "By how much the event loop is late to read what comes.",
            multiprocess_mode="livemax",
            registry=r,
        )
        self.wait_error_seconds = Histogram(
            "sluice_wait_error_seconds",
            "By how much the forecast of a wait was wrong, either way.",
            buckets=SECONDS,
            registry=r,
        )
        self.dropped = Counter("sluice_dropped", "Waiting rows given up before compute.", ["reason"], registry=r)
        for reason in DROPS:
            self.dropped.labels(reason)

    def _declare_cache(self, r: Tallies) -> None:
        self.cache_rows = Counter(
            "sluice_cache_rows", "Rows by whether an answer was kept, on its way, or neither.", ["result"], registry=r
        )
        self.cache_entries = Gauge("sluice_cache_entries", "Answers kept.", multiprocess_mode="livesum", registry=r)
        self.cache_bytes = Gauge("sluice_cache_bytes", "Bytes they take.", multiprocess_mode="livesum", registry=r)
        for result in CACHED:
            self.cache_rows.labels(result)
