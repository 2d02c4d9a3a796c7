"""Probes and metrics: what an orchestrator and a scraper ask."""

from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.body import json_response
from app.api.examples import answers, route_example
from app.api.routes import Routes
from app.api.schemas import Health
from app.service import Service

LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"


def routes(service: Service) -> Routes:
    """Return the probe and metrics routes over ``service``."""
    found = Routes("operate")

    async def live(_: Request) -> Response:
        """Answer 200 as long as the event loop turns."""
        return json_response({"status": "live"})

    async def ready(_: Request) -> Response:
        """Answer 200 once every package is opened and warmed up; 503 before, while draining, and while models hang."""
        service.refuse_unless_fit()
        return json_response({"status": "ready"})

    async def metrics(_: Request) -> Response:
        """Answer in Prometheus' text format, for all worker processes together."""
        return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    found.add("GET", LIVE, live, partial(_told_of_probe, LIVE, "Is the process alive?"))
    found.add("GET", READY, ready, partial(_told_of_probe, READY, "May it get requests?", 503))
    found.add("GET", METRICS, metrics, _told_of_metrics)
    return found


def _told_of_probe(path: str, summary: str, *statuses: int) -> dict[str, Any]:
    ok = {"model": Health, "content": route_example(path)}
    return {"summary": summary, "responses": answers(*statuses, ok=ok)}


def _told_of_metrics() -> dict[str, Any]:
    ok = {"content": {"text/plain": {"example": "sluice_ready 1.0\n"}}}
    return {"summary": "Prometheus metrics", "responses": answers(ok=ok)}
