"""The gRPC server, in the event loop of the HTTP one: keys, counts, log lines and errors as there."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import structlog

from app.api.access import Access
from app.api.haste import haste_of
from app.api.ledger import CLIENT_CLOSED, Ledger
from app.api.oip.grpc import inference_pb2 as pb
from app.api.oip.grpc.calls import CALLS, SERVICE, route_of
from app.api.oip.grpc.servicer import Context, Servicer
from app.api.refusal import fault
from app.api.trace import Trace, request_id
from app.errors import RequestError, SettingsError
from app.scheduling.haste import Haste

log = structlog.get_logger("sluice")

_OK = 200
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""By HTTP status; every other one is INVALID_ARGUMENT."""
_MAX_DETAILS_CHARS = 1000
"""Details travel in a header, whose size is bounded."""

Answer = Callable[[Any, Trace, Context], Awaitable[Any]]


class GrpcServer:
    """Serves the protocol on a port of its own."""

    def __init__(self, servicer: Servicer, access: Access, ledger: Ledger, *, max_message_bytes: int) -> None:
        self._access = access
        self._ledger = ledger
        self._servicer = servicer
        self._max_message_bytes = max_message_bytes
        self._server: grpc.aio.Server | None = None

    async def start(self, host: str, port: int, *, shared: bool) -> None:
        """Listen on ``port``, 0 for a free one; ``shared`` lets sibling processes listen on the same.

        ``SettingsError`` where the address is not free.
        """
        options = [
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.so_reuseport", int(shared)),
        ]
        self._server = grpc.aio.server(options=options)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        address = f"[{host}]" if ":" in host else host
        try:
            bound = self._server.add_insecure_port(f"{address}:{port}")
        except RuntimeError as broken:
            raise SettingsError(f"SLUICE_GRPC_PORT is {port}; expected a port that is free to listen on") from broken
        await self._server.start()
        log.info("grpc_listening", host=host, port=bound)

    async def stop(self, grace_s: float) -> None:
        """Take no more calls and give those in flight their time."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        own = self._servicer
        unary: dict[str, tuple[Answer, Any, Any]] = {
            "ServerLive": (own.server_live, pb.ServerLiveRequest, pb.ServerLiveResponse),
            "ServerReady": (own.server_ready, pb.ServerReadyRequest, pb.ServerReadyResponse),
            "ModelReady": (own.model_ready, pb.ModelReadyRequest, pb.ModelReadyResponse),
            "ServerMetadata": (own.server_metadata, pb.ServerMetadataRequest, pb.ServerMetadataResponse),
            "ModelMetadata": (own.model_metadata, pb.ModelMetadataRequest, pb.ModelMetadataResponse),
            "ModelInfer": (own.model_infer, pb.ModelInferRequest, pb.ModelInferResponse),
            "ModelStatistics": (own.model_statistics, pb.ModelStatisticsRequest, pb.ModelStatisticsResponse),
            "RepositoryIndex": (own.repository_index, pb.RepositoryIndexRequest, pb.RepositoryIndexResponse),
            "RepositoryModelLoad": (
                own.repository_model_load,
                pb.RepositoryModelLoadRequest,
                pb.RepositoryModelLoadResponse,
            ),
            "RepositoryModelUnload": (
                own.repository_model_unload,
                pb.RepositoryModelUnloadRequest,
                pb.RepositoryModelUnloadResponse,
            ),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._unary(name, answer), asked.FromString, answered.SerializeToString
            )
            for name, (answer, asked, answered) in unary.items()
        }
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self._stream, pb.ModelInferRequest.FromString, pb.ModelStreamInferResponse.SerializeToString
        )
        return handlers

    def _unary(self, name: str, answer: Answer) -> Callable[[Any, Context], Awaitable[Any]]:
        async def call(request: Any, context: Context) -> Any:
            trace = _trace(context)
            try:
                with self._written(name, trace, context):
                    return await answer(request, trace, context)
            except RequestError as error:
                await _refuse(context, error, trace)

        return call

    async def _stream(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        trace = _trace(context)
        try:
            with self._written("ModelStreamInfer", trace, context):
                async for answer in self._servicer.model_stream_infer(requests, trace, context):
                    yield answer
        except RequestError as error:
            await _refuse(context, error, trace)

    @contextmanager
    def _written(self, name: str, trace: Trace, context: Context) -> Iterator[None]:
        """Ask for the key, and write the call down however it ends; whatever is no ``RequestError`` becomes one."""
        status = CLIENT_CLOSED
        self._ledger.open()
        try:
            headers = _headers(context)
            self._access.admit({"path": CALLS[name], "method": "GRPC"}, headers, trace)
            trace.haste = _haste(headers, context)
            yield
            status = _OK
        except RequestError as error:
            status, trace.error_code = error.status, error.code
            raise
        except Exception as broken:
            log.exception("internal_error", request_id=trace.request_id, path=route_of(name))
            ours = fault()
            status, trace.error_code = ours.status, ours.code
            raise ours from broken
        finally:
            self._ledger.close("GRPC", route_of(name), status, trace)


def _trace(context: Context) -> Trace:
    return Trace(request_id(_headers(context)), time.perf_counter())


def _headers(context: Context) -> dict[bytes, bytes]:
    given = context.invocation_metadata() or ()
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in given}


def _haste(headers: dict[bytes, bytes], context: Context) -> Haste:
    """Return what the metadata say of it, as headers do, and the call's deadline where that is sooner."""
    said, left_s = haste_of(headers), context.time_remaining()
    if left_s is None:
        return said
    until = time.monotonic() + left_s
    return replace(said, until=until if said.until is None else min(until, said.until))


async def _refuse(context: Context, error: RequestError, trace: Trace) -> None:
    told = [("sluice-code", error.code), ("x-request-id", trace.request_id)]
    if error.retry_after_s is not None:
        told.append(("retry-after", str(error.retry_after_s)))
    code = _CODES.get(error.status, grpc.StatusCode.INVALID_ARGUMENT)
    await context.abort(code, str(error)[:_MAX_DETAILS_CHARS], tuple(told))
