"""Every metric, declared once and in place before the first request.

Times are seconds, counters end in ``_total``, label values are bounded: routes and codes are the service's own, models
are the packages on disk. docs/metrics.md says what each is for, ``app.measures`` declares them.
"""

import warnings
from collections import Counter as Counts
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from app.measures.batches import REPLACED, BatchMeasures, ByTask, ModelSeries
from app.measures.buckets import PACKAGE
from app.measures.requests import RequestMeasures
from app.measures.shadows import ShadowMeasures
from app.measures.summaries import FINISHES, SummaryMeasures, WriterSeries
from app.measures.versions import VersionMeasures
from app.sharing import Processes, Together, restarts_in
from app.tally import Tallies

NO_MODEL = "none"
"""The model label of texts that were refused before any model was chosen."""


class Metrics(RequestMeasures, BatchMeasures, SummaryMeasures, VersionMeasures, ShadowMeasures):
    """The service's metrics in a registry of their own, so that two services in one process do not collide."""

    def __init__(self, version: str, shared_dir: Path | None = None) -> None:
        """Declare every series; ``shared_dir`` is where several worker processes keep theirs (see ``share``)."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which no query here needs
        self._shared_dir = shared_dir
        self._of_model: dict[tuple[str, str], ModelSeries] = {}
        self._of_writer: dict[tuple[str, str], WriterSeries] = {}
        self._held: Counts[tuple[str, str]] = Counts()
        self.registry = r = Tallies(shared=shared_dir is not None)
        RequestMeasures.__init__(self, r)
        BatchMeasures.__init__(self, r)
        SummaryMeasures.__init__(self, r)
        VersionMeasures.__init__(self, r)
        ShadowMeasures.__init__(self, r)
        self.worker_restarts = restarts_in(r)
        self.ready = Gauge(
            "sluice_ready", "1 while every worker takes requests.", multiprocess_mode="livemin", registry=r
        )
        self.build_info = Gauge("sluice_build_info", "1.", ["version"], multiprocess_mode="livemax", registry=r)
        self.build_info.labels(version).set(1)
        if shared_dir is None:
            ProcessCollector(registry=self.registry)

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
                if isinstance(metric, MetricWrapperBase) and set(PACKAGE) <= set(metric._labelnames):  # noqa: SLF001
                    metric.remove_by_labels({"model": model, "version": version})
        return True

    def of_writer(self, model: str, version: str) -> WriterSeries:
        """Return the series of a package that writes, as ``of_model`` does."""
        if (model, version) not in self._of_writer:
            self._of_writer[model, version] = WriterSeries(
                encode_seconds=self.registry.histogram(self.encode_seconds.labels(model, version)),
                step_seconds=self.registry.histogram(self.step_seconds.labels(model, version)),
                step_rows=self.registry.histogram(self.step_rows.labels(model, version)),
                first_token_seconds=self.registry.histogram(self.first_token_seconds.labels(model, version)),
                inter_token_seconds=self.registry.histogram(self.inter_token_seconds.labels(model, version)),
                tokens=self.registry.counter(self.generated_tokens.labels(model, version)),
                summaries={
                    reason: self.registry.counter(self.summaries.labels(model, version, reason)) for reason in FINISHES
                },
            )
        return self._of_writer[model, version]

    def of_model(self, model: str, version: str) -> ModelSeries:
        """Return a package's series, put in place at the first call and remembered: looking labels up is not cheap."""
        if (model, version) not in self._of_model:
            self.hangs.labels(model, version)
            for result in REPLACED:
                self.sessions_replaced.labels(model, version, result)
            self._of_model[model, version] = ModelSeries(
                tokenize_seconds=self.registry.histogram(self.tokenize_seconds.labels(model, version)),
                queue_seconds=self.registry.histogram(self.queue_seconds.labels(model, version)),
                infer_seconds=self.registry.histogram(self.infer_seconds.labels(model, version)),
                forecast_seconds=self.registry.counter(self.forecast_infer_seconds.labels(model, version)),
                batch_rows=self.registry.histogram(self.batch_rows.labels(model, version)),
                inline_batches=self.registry.counter(self.inline_batches.labels(model, version)),
                real_cells=self.registry.counter(self.cells.labels(model, version, "real")),
                padding_cells=self.registry.counter(self.cells.labels(model, version, "padding")),
                last_inference=self.registry.last(self.last_inference.labels(model, version)),
                answered=ByTask(lambda task: self.registry.counter(self.items.labels(model, version, task, "ok"))),
            )
        return self._of_model[model, version]

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
        together.register(Together(self._shared_dir, {*self._of_model, (NO_MODEL, NO_MODEL)}))
        together.register(Processes(self._shared_dir))
        return together
