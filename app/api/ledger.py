"""What is written down of every request: one count, one log line."""

import logging
import time

import structlog

from app.api.trace import Trace
from app.logs import request_lines
from app.measures.requests import REJECTIONS
from app.metrics import Metrics
from app.tally import HistogramTally

CLIENT_CLOSED = 499
"""The status of a request whose client went away before its answer."""
OTHER_ROUTE = "other"
"""The route label of paths that no route has."""

_QUIET = {"/health/live", "/health/ready", "/metrics"}


class Ledger:
    """Opened when a request comes, closed when it is answered or given up."""

    def __init__(self, metrics: Metrics, routes: frozenset[str]) -> None:
        """``routes`` are the paths that may stand as a label."""
        self._metrics = metrics
        self._registry = metrics.registry
        self._routes = routes
        self._in_flight = metrics.registry.gauge(metrics.in_flight)
        self._series: dict[tuple[str, int], HistogramTally] = {}
        """By route and status, of which there are few."""
        self._rejected = {reason: metrics.registry.counter(metrics.rejected.labels(reason)) for reason in REJECTIONS}
        self._lines = request_lines()
        self._log = structlog.get_logger("sluice.request").bind()  # bound once, not at each line

    def open(self) -> None:
        """Count a request that is being answered."""
        self._in_flight.amount += 1
        if not self._registry.counted:  # or what was counted before will have this one told with it
            self._registry.settle_soon()

    def note(self, method: str, route: str, status: int, trace: Trace) -> None:
        """Count and log what was answered in the turn in which it came: nobody could have seen it in flight."""
        self._in_flight.amount += 1
        self.close(method, route, status, trace)

    def close(self, method: str, route: str, status: int, trace: Trace) -> None:
        """Count and log what was opened; ``route`` is the path of its route, or any."""
        self._in_flight.amount -= 1
        route = route if route in self._routes else OTHER_ROUTE
        seconds = time.perf_counter() - trace.started
        series = self._series.get((route, status)) or self._declare(route, status)
        series.observe(seconds)
        self._registry.settle_soon()
        if trace.key is not None:
            self._metrics.of_key(trace.key).add(trace.items, trace.tokens, trace.error_code)
        if trace.error_code in self._rejected:
            self._rejected[trace.error_code].inc()
        number = logging.DEBUG if route in _QUIET else logging.INFO
        lines = self._lines
        if lines is not None and number < lines.number:
            return
        fields = {
            "request_id": trace.request_id,
            "method": method,
            "route": route,
            "status": status,
            "code": trace.error_code,
            "key": trace.key,
            "model": trace.model,
            "items": trace.items,
            "tokens": trace.tokens,
            "timings_ms": trace.timings_ms or {},
            "total_ms": round(seconds * 1_000_000) / 1000,
        }
        if trace.key is None:
            del fields["key"]
        if lines is not None:
            lines.write(number, "request", fields)
        else:
            self._log.log(number, "request", **fields)

    def _declare(self, route: str, status: int) -> HistogramTally:
        """Put the series of a route and a status in place: looking labels up at each request is not cheap."""
        metrics = self._metrics
        seconds, requests = metrics.request_seconds.labels(route), metrics.requests.labels(route, str(status))
        series = self._series[route, status] = self._registry.histogram(seconds, requests)
        return series
