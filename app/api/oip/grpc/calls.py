"""The calls of the gRPC service, and the route of /v2 whose key opens each; nothing here needs grpcio."""

SERVICE = "inference.GRPCInferenceService"

CALLS = {
    "ServerLive": "/v2/health/live",
    "ServerReady": "/v2/health/ready",
    "ModelReady": "/v2/models/name/ready",
    "ServerMetadata": "/v2",
    "ModelMetadata": "/v2/models/name",
    "ModelInfer": "/v2/models/name/infer",
    "ModelStreamInfer": "/v2/models/name/infer",
    "ModelStatistics": "/v2/models/stats",
    "RepositoryIndex": "/v2/repository/index",
    "RepositoryModelLoad": "/v2/repository/models/name/load",
    "RepositoryModelUnload": "/v2/repository/models/name/unload",
}


def route_of(call: str) -> str:
    """Return what metrics and the log call it."""
    return f"/{SERVICE}/{call}"


ROUTES = tuple(map(route_of, CALLS))
