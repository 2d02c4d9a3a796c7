"""Metrics of several worker processes, kept in files of a folder that all of them read.

A file that cannot grow, on a full disk, must not cost more than the metrics: a write into a mapped file without a block
behind it kills the process. Blocks are therefore taken before they are mapped, and where there are none, a series goes
on in this process alone.
"""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, mmap_dict, values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

log = structlog.get_logger("sluice")

_FIRST_BYTES = 1 << 16
_ENTRY_BYTES = 64
"""More than an entry takes beside its key."""


def restarts_in(registry: CollectorRegistry) -> Counter:
    """Return the counter of restarted workers, which the supervisor adds to and every worker declares."""
    return Counter("sluice_worker_restarts", "Workers that died and were replaced.", registry=registry)


def count_restarts(folder: Path | None) -> Counter:
    """Return that counter in the shared folder, for the supervisor."""
    if folder is None:
        raise RuntimeError("This is a bug: a supervisor without a metrics folder")
    _keep_in(folder, "supervisor")
    return restarts_in(CollectorRegistry())


def share(folder: Path, slot: int) -> None:
    """Make this process keep its metrics in ``folder`` under its worker slot; call it before ``Metrics``.

    Files are named by slot and not by process id, so that a restarted worker goes on counting in the file of the one
    it replaces and the folder never grows. Gauges tell of a process that is gone: they start afresh.
    """
    for stale in folder.glob(f"gauge_*_{slot}.db"):
        stale.unlink()
    written = folder / f"{slot}.pid.new"
    try:
        written.write_text(str(os.getpid()), "ascii")
        written.replace(folder / f"{slot}.pid")  # in one step, since another worker may be reading it
    except OSError as broken:
        _tell(written.name, broken)
    _keep_in(folder, str(slot))


def _keep_in(folder: Path, name: str) -> None:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # prometheus_client reads it nowhere else
    values.MmapedDict = _Reserved  # type: ignore[attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]


class _Reserved(mmap_dict.MmapedDict):
    """A file of values whose blocks are taken before they are written; without them values are kept in memory."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        self._alone: dict[str, tuple[float, float]] = {}
        self._mapped = False
        try:
            if not read_mode:
                _reserve(filename)
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
            self._mapped = True
        except OSError as broken:
            _tell(filename, broken)

    def read_value(self, key: str) -> tuple[float, float]:
        """Return a key's value and time, zero for one that is new."""
        if key in self._alone or not self._has(key):
            return self._alone.setdefault(key, (0.0, 0.0))
        found: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call]
        return found

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Write a key's value."""
        if key in self._alone or not self._has(key):
            self._alone[key] = value, timestamp
        else:
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the file."""
        if self._mapped:
            super().close()  # type: ignore[no-untyped-call]

    def _has(self, key: str) -> bool:
        """Tell whether the file has a place for ``key``, or could be made to have one."""
        if not self._mapped or key in self._positions:
            return self._mapped
        if self._used + len(key.encode()) + _ENTRY_BYTES > self._capacity:
            try:
                os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
            except OSError as broken:
                if not self._alone:  # once
                    _tell(self._fname, broken)
                return False
        return True


def _tell(file: str, broken: OSError) -> None:
    log.error("metrics_not_shared", file=Path(file).name, reason=str(broken))


def _reserve(filename: str) -> None:
    descriptor = os.open(filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    size = os.fstat(descriptor).st_size
    try:
        os.posix_fallocate(descriptor, 0, max(_FIRST_BYTES, size))
    except OSError:
        if not size:
            Path(filename).unlink()  # an empty one could not be read
        raise
    finally:
        os.close(descriptor)


class Processes(Collector):
    """The standard process metrics, summed over the workers (the start time is the earliest)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        totals: dict[str, Metric] = {}
        for file in self._folder.glob("*.pid"):
            for metric in ProcessCollector(pid=partial(file.read_text, "ascii"), registry=None).collect():
                value = metric.samples[0].value
                if metric.name in totals:
                    known = totals[metric.name].samples[0].value
                    value = min(known, value) if metric.name == "process_start_time_seconds" else known + value
                family = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
                totals[metric.name] = family(metric.name, metric.documentation, value=value)
        yield from totals.values()


class Together(Collector):
    """The series of all workers, but for those of packages that are not served any more: a file forgets nothing."""

    def __init__(self, folder: Path, served: set[tuple[str, str]]) -> None:
        """Read the files of ``folder``; ``served``: the names and versions of packages."""
        self._files = MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]
        self._served = served

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        for metric in self._files.collect():  # type: ignore[no-untyped-call]
            metric.samples = [sample for sample in metric.samples if self._is_served(sample.labels)]
            yield metric

    def _is_served(self, labels: Mapping[str, str]) -> bool:
        return "version" not in labels or "model" not in labels or (labels["model"], labels["version"]) in self._served
