"""Probes and metrics: what an orchestrator and a scraper ask."""

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.body import json_response
from app.api.examples import answers, route_example
from app.api.schemas import Health
from app.service import Service


def router(service: Service) -> APIRouter:
    """Return the probe and metrics routes over ``service``."""
    routes = APIRouter(tags=["operate"])

    @routes.get(
        "/health/live",
        summary="Is the process alive?",
        responses=answers(ok={"model": Health, "content": route_example("/health/live")}),
    )
    async def live() -> Response:
        """Answer 200 as long as the event loop turns."""
        return json_response({"status": "live"})

    @routes.get(
        "/health/ready",
        summary="May it get requests?",
        responses=answers(503, ok={"model": Health, "content": route_example("/health/ready")}),
    )
    async def ready() -> Response:
        """Answer 200 once every package is opened and warmed up; 503 before, while draining, and while models hang."""
        service.refuse_unless_fit()
        return json_response({"status": "ready"})

    @routes.get(
        "/metrics",
        summary="Prometheus metrics",
        responses=answers(ok={"content": {"text/plain": {"example": "sluice_ready 1.0\n"}}}),
    )
    async def metrics() -> Response:
        """Answer in Prometheus' text format, for all worker processes together."""
        return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return routes
