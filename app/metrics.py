"""Every metric, declared once and in place before the first request.

Times are seconds, counters end in ``_total``, label values are bounded: routes and codes are the service's own, models
are the packages on disk. docs/metrics.md says what each is for.
"""

import warnings
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.sharing import Processes, restarts_in
from app.tally import CounterTally, HistogramTally, Tallies

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)

NO_MODEL = "none"
"""The model label of texts that were refused before any model was chosen."""

STATES = ("ready", "failed", "unloaded")
ACTIONS = ("load", "unload", "reload", "aliases")
CHANGES = ("done", "refused")

REJECTIONS = (
    *("queue_full", "wait_too_long", "draining", "not_ready", "body_too_large", "too_many_items"),
    *("unauthorized", "forbidden", "rate_limited", "body_too_slow", "head_too_slow", "headers_too_large"),
    *("too_many_connections", "malformed_http", "malformed_encoding"),
)
CACHED = ("hit", "shared", "miss")
DROPS = ("cancelled", "expired")
FINISHES = ("eos", "length", "deadline")


@dataclass(frozen=True, slots=True)
class ModelSeries:
    """The series of one package that each request or batch adds to."""

    tokenize_seconds: HistogramTally
    queue_seconds: HistogramTally
    infer_seconds: Histogram
    forecast_seconds: Counter
    batch_rows: Histogram
    real_cells: Counter
    padding_cells: Counter
    last_inference: Gauge
    answered: dict[str, CounterTally] = field(default_factory=dict)
    """Of texts, by task; ``Metrics.answered`` fills it."""


@dataclass(frozen=True, slots=True)
class WriterSeries:
    """The series of one package that writes."""

    encode_seconds: Histogram
    step_seconds: Histogram
    step_rows: Histogram
    first_token_seconds: Histogram
    inter_token_seconds: Histogram
    tokens: Counter
    summaries: dict[str, Counter]


@dataclass(frozen=True, slots=True)
class KeySeries:
    """The series of one API key."""

    requests: Counter
    items: Counter
    tokens: Counter
    limited: Counter

    def add(self, items: int, tokens: int, error_code: str | None) -> None:
        """Count one request."""
        self.requests.inc()
        self.items.inc(items)
        self.tokens.inc(tokens)
        if error_code == "rate_limited":
            self.limited.inc()


class Metrics:
    """The service's metrics in a registry of their own, so that two services in one process do not collide."""

    def __init__(self, version: str, shared_dir: Path | None = None) -> None:
        """Declare every series; ``shared_dir`` is where several worker processes keep theirs (see ``share``)."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no query here needs
        self._shared_dir = shared_dir
        self._of_model: dict[tuple[str, str], ModelSeries] = {}
        self._of_writer: dict[tuple[str, str], WriterSeries] = {}
        self._held: Counts[tuple[str, str]] = Counts()
        self.registry = r = Tallies(shared=shared_dir is not None)
        self.requests = Counter("sluice_requests", "Requests answered.", ["route", "code"], registry=r)
        self.request_seconds = Histogram(
            "sluice_request_duration_seconds",
            "From the first byte to the last.",
            ["route"],
            buckets=SECONDS,
            registry=r,
        )
        self.in_flight = Gauge(
            "sluice_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum", registry=r
        )
        self.items = Counter(
            "sluice_items", "Texts answered or refused.", ["model", "version", "task", "code"], registry=r
        )
        stage = ["model", "version"]
        self.tokenize_seconds = Histogram(
            "sluice_tokenize_duration_seconds",
            "Normalizing and tokenizing a request's texts.",
            stage,
            buckets=SECONDS,
            registry=r,
        )
        self.queue_seconds = Histogram(
            "sluice_queue_duration_seconds",
            "From submission to a request's first batch.",
            stage,
            buckets=SECONDS,
            registry=r,
        )
        self.infer_seconds = Histogram(
            "sluice_infer_duration_seconds", "One batch in the runtime.", stage, buckets=SECONDS, registry=r
        )
        self.forecast_infer_seconds = Counter(
            "sluice_forecast_infer_seconds", "What the batches were forecast to take.", stage, registry=r
        )
        self.batch_rows = Histogram("sluice_batch_rows", "Rows of a batch.", stage, buckets=ROWS, registry=r)
        self.cells = Counter("sluice_cells", "Cells computed: real tokens and padding.", [*stage, "kind"], registry=r)
        self.last_inference = Gauge(
            "sluice_last_inference_timestamp_seconds",
            "When the package last answered, since 1970; 0 for never.",
            stage,
            multiprocess_mode="max",
            registry=r,
        )
        self.queue_rows = Gauge("sluice_queue_rows", "Rows waiting.", multiprocess_mode="livesum", registry=r)
        self.queue_tokens = Gauge("sluice_queue_tokens", "Tokens waiting.", multiprocess_mode="livesum", registry=r)
        self.forecast_wait_seconds = Gauge(
            "sluice_forecast_wait_seconds",
            "How long would wait what comes now.",
            ["priority"],
            multiprocess_mode="livemax",
            registry=r,
        )
        self.wait_error_seconds = Histogram(
            "sluice_wait_error_seconds",
            "By how much the forecast of a wait was wrong, either way.",
            buckets=SECONDS,
            registry=r,
        )
        self.cache_rows = Counter(
            "sluice_cache_rows", "Rows by whether an answer was kept, on its way, or neither.", ["result"], registry=r
        )
        self.cache_entries = Gauge("sluice_cache_entries", "Answers kept.", multiprocess_mode="livesum", registry=r)
        self.cache_bytes = Gauge("sluice_cache_bytes", "Bytes they take.", multiprocess_mode="livesum", registry=r)
        for result in CACHED:
            self.cache_rows.labels(result)
        self._declare_writing()
        self.hangs = Counter("sluice_hangs", "Runs of a graph that did not end and were given up.", stage, registry=r)
        self.worker_restarts = restarts_in(r)
        self.rejected = Counter("sluice_rejected", "Requests refused before any work.", ["reason"], registry=r)
        self.dropped = Counter("sluice_dropped", "Waiting rows given up before compute.", ["reason"], registry=r)
        self._declare_keys()
        self.ready = Gauge(
            "sluice_ready", "1 while every worker takes requests.", multiprocess_mode="livemin", registry=r
        )
        self.models = Gauge("sluice_models", "Packages by state.", ["state"], multiprocess_mode="livemax", registry=r)
        self.model_info = Gauge(
            "sluice_model_info",
            "1 for each package that is served.",
            ["model", "version", "task", "precision", "provider"],
            multiprocess_mode="livemax",
            registry=r,
        )
        self.build_info = Gauge("sluice_build_info", "1.", ["version"], multiprocess_mode="livemax", registry=r)
        self.build_info.labels(version).set(1)
        for reason in REJECTIONS:
            self.rejected.labels(reason)
        for reason in DROPS:
            self.dropped.labels(reason)
        for state in STATES:
            self.models.labels(state)
        self._declare_changing()
        if shared_dir is None:
            ProcessCollector(registry=self.registry)

    def _declare_keys(self) -> None:
        """Declare what is counted of each API key; a key is a label from its first request on."""
        r = self.registry
        self.key_requests = Counter("sluice_key_requests", "Requests that came with the key.", ["key"], registry=r)
        self.key_items = Counter("sluice_key_items", "Their texts.", ["key"], registry=r)
        self.key_tokens = Counter("sluice_key_tokens", "Tokens of those that were answered.", ["key"], registry=r)
        self.key_limited = Counter("sluice_key_limited", "Those refused by the key's limits.", ["key"], registry=r)
        self.of_key = cache(self._of_key)

    def _of_key(self, key: str) -> KeySeries:
        return KeySeries(
            requests=self.key_requests.labels(key),
            items=self.key_items.labels(key),
            tokens=self.key_tokens.labels(key),
            limited=self.key_limited.labels(key),
        )

    def _declare_writing(self) -> None:
        """Declare what the decoder counts."""
        r, model = self.registry, ["model", "version"]
        self.encode_seconds = Histogram(
            "sluice_encode_duration_seconds", "Reading one text to be summarized.", model, buckets=SECONDS, registry=r
        )
        self.step_seconds = Histogram(
            "sluice_step_duration_seconds", "One step of the summaries under way.", model, buckets=SECONDS, registry=r
        )
        self.step_rows = Histogram("sluice_step_rows", "Summaries in a step.", model, buckets=ROWS, registry=r)
        self.first_token_seconds = Histogram(
            "sluice_first_token_seconds",
            "From a text's submission to the first token of its summary.",
            model,
            buckets=SECONDS,
            registry=r,
        )
        self.inter_token_seconds = Histogram(
            "sluice_inter_token_seconds", "Between two tokens of a summary.", model, buckets=SECONDS, registry=r
        )
        self.generated_tokens = Counter("sluice_generated_tokens", "Tokens of whole summaries.", model, registry=r)
        self.summaries = Counter("sluice_summaries", "Summaries by why they end.", [*model, "reason"], registry=r)
        self.slots = Gauge(
            "sluice_slots", "Summaries that may be written at once.", multiprocess_mode="livesum", registry=r
        )
        self.slots_used = Gauge(
            "sluice_slots_used", "Summaries being written.", multiprocess_mode="livesum", registry=r
        )
        self.slot_cells_used = Gauge(
            "sluice_slot_cells_used", "Cells of source memory in use.", multiprocess_mode="livesum", registry=r
        )
        self.summary_queue_rows = Gauge(
            "sluice_summary_queue_rows", "Texts waiting to be summarized.", multiprocess_mode="livesum", registry=r
        )
        self.summary_queue_tokens = Gauge(
            "sluice_summary_queue_tokens", "Tokens of those texts.", multiprocess_mode="livesum", registry=r
        )

    def _declare_changing(self) -> None:
        """Declare what tells of versions: changes, aliases."""
        r = self.registry
        self.changes = Counter("sluice_model_changes", "Changes of what is served.", ["action", "result"], registry=r)
        for action in ACTIONS:
            for result in CHANGES:
                self.changes.labels(action, result)
        self.aliased = Counter(
            "sluice_aliased_items",
            "Texts answered by a version that an alias led to.",
            ["model", "version", "alias"],
            registry=r,
        )
        self.alias_share = Gauge(
            "sluice_alias_share",
            "Share of the requests that name no version.",
            ["model", "version", "alias"],
            multiprocess_mode="livemax",
            registry=r,
        )

    def count_aliases(self, model: str, version: str, aliases: Iterable[str | None]) -> None:
        """Count texts answered by a version that an alias led to; ``None`` is none."""
        for alias in aliases:
            if alias is not None:
                self.aliased.labels(model, version, alias).inc()

    def hold(self, model: str, version: str) -> None:
        """Put a package's series in place and keep them until it is released as often as it was held."""
        self._held[model, version] += 1
        self.of_model(model, version)

    def release(self, model: str, version: str) -> bool:
        """Take a package's series away where nobody holds it any more; return whether that is so."""
        self._held[model, version] -= 1
        if self._held[model, version] > 0:
            return False
        del self._held[model, version]
        self._of_model.pop((model, version), None)
        self._of_writer.pop((model, version), None)
        with warnings.catch_warnings():
            # with several processes it only forgets them here; what their files keep is left out of the exposition
            warnings.filterwarnings("ignore", message="Removal of labels")
            for metric in vars(self).values():
                if isinstance(metric, MetricWrapperBase) and {"model", "version"} <= set(metric._labelnames):  # noqa: SLF001
                    metric.remove_by_labels({"model": model, "version": version})
        return True

    def of_writer(self, model: str, version: str) -> "WriterSeries":
        """Return the series of a package that writes, as ``of_model`` does."""
        if (model, version) not in self._of_writer:
            self._of_writer[model, version] = WriterSeries(
                encode_seconds=self.encode_seconds.labels(model, version),
                step_seconds=self.step_seconds.labels(model, version),
                step_rows=self.step_rows.labels(model, version),
                first_token_seconds=self.first_token_seconds.labels(model, version),
                inter_token_seconds=self.inter_token_seconds.labels(model, version),
                tokens=self.generated_tokens.labels(model, version),
                summaries={reason: self.summaries.labels(model, version, reason) for reason in FINISHES},
            )
        return self._of_writer[model, version]

    def declare_route(self, route: str, codes: Iterable[str]) -> None:
        """Put a route's series in place for each HTTP status that it may answer."""
        self.request_seconds.labels(route)
        for code in codes:
            self.requests.labels(route, code)

    def of_model(self, model: str, version: str) -> "ModelSeries":
        """Return a package's series, put in place at the first call and remembered: looking labels up is not cheap."""
        if (model, version) not in self._of_model:
            self.hangs.labels(model, version)
            self._of_model[model, version] = ModelSeries(
                tokenize_seconds=self.registry.histogram(self.tokenize_seconds.labels(model, version)),
                queue_seconds=self.registry.histogram(self.queue_seconds.labels(model, version)),
                infer_seconds=self.infer_seconds.labels(model, version),
                forecast_seconds=self.forecast_infer_seconds.labels(model, version),
                batch_rows=self.batch_rows.labels(model, version),
                real_cells=self.cells.labels(model, version, "real"),
                padding_cells=self.cells.labels(model, version, "padding"),
                last_inference=self.last_inference.labels(model, version),
            )
        return self._of_model[model, version]

    def answered(self, model: str, version: str, task: str) -> CounterTally:
        """Return the counter of a package's texts that were answered, for those who count at each request."""
        known = self.of_model(model, version).answered
        if task not in known:
            known[task] = self.registry.counter(self.items.labels(model, version, task, "ok"))
        return known[task]

    def declare_items(self, model: str, version: str, task: str, codes: Iterable[str]) -> None:
        """Put the series of a package's texts in place for each code that they may get."""
        for code in codes:
            self.items.labels(model, version, task, code)

    def exposition(self) -> bytes:
        """Return the text format: of this process, or of all workers together where they share a folder."""
        return generate_latest(self._together())

    def collect(self) -> Iterable[Metric]:
        """Return every metric's samples, of the same processes."""
        return self._together().collect()

    def _together(self) -> CollectorRegistry:
        if self._shared_dir is None:
            return self.registry
        self.registry.settle()
        together = CollectorRegistry()
        together.register(_Together(self._shared_dir, {*self._of_model, (NO_MODEL, NO_MODEL)}))
        together.register(Processes(self._shared_dir))
        return together


class _Together(Collector):
    """The series of all workers, but for those of packages that are not served any more: a file forgets nothing."""

    def __init__(self, folder: Path, served: set[tuple[str, str]]) -> None:
        self._files = MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]
        self._served = served

    def collect(self) -> Iterator[Metric]:
        for metric in self._files.collect():  # type: ignore[no-untyped-call]
            metric.samples = [sample for sample in metric.samples if self._is_served(sample.labels)]
            yield metric

    def _is_served(self, labels: Mapping[str, str]) -> bool:
        return "version" not in labels or "model" not in labels or (labels["model"], labels["version"]) in self._served
