"""What each call of ``inference.GRPCInferenceService`` answers: the same as the route of /v2 of its name."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc

from app.api.oip import metadata
from app.api.oip.answering import Answering
from app.api.oip.grpc import inference_pb2 as pb
from app.api.oip.grpc.messages import of_inferred, of_metadata, of_statistics, to_inference
from app.api.oip.repository import Repository
from app.api.oip.statistics import statistics
from app.api.trace import Trace
from app.errors import RequestError
from app.runtime.model import Model

Context: TypeAlias = grpc.aio.ServicerContext


class Servicer:
    """Answers calls; each raises ``RequestError`` where there is no answer."""

    def __init__(self, answering: Answering, repository: Repository) -> None:
        self._answering = answering
        self._repository = repository
        self._service = answering.service

    async def server_live(self, _: pb.ServerLiveRequest, __: Trace, ___: Context) -> pb.ServerLiveResponse:
        """Say that the event loop turns."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: pb.ServerReadyRequest, __: Trace, ___: Context) -> pb.ServerReadyResponse:
        """Say whether requests are taken."""
        try:
            self._service.refuse_unless_fit()
        except RequestError:
            return pb.ServerReadyResponse(ready=False)
        return pb.ServerReadyResponse(ready=True)

    async def model_ready(self, asked: pb.ModelReadyRequest, _: Trace, __: Context) -> pb.ModelReadyResponse:
        """Say whether a package answers."""
        try:
            self._service.refuse_unless_ready()
            self._answering.model(asked.name, asked.version)
        except RequestError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def server_metadata(self, _: pb.ServerMetadataRequest, __: Trace, ___: Context) -> pb.ServerMetadataResponse:
        """Tell the server's name, version and extensions."""
        return pb.ServerMetadataResponse(**metadata.of_server())

    async def model_metadata(self, asked: pb.ModelMetadataRequest, _: Trace, __: Context) -> pb.ModelMetadataResponse:
        """Tell a package's inputs and outputs."""
        model = self._answering.model(asked.name, asked.version)
        return of_metadata(metadata.of_model(self._answering.registry, model))

    async def model_infer(self, asked: pb.ModelInferRequest, trace: Trace, _: Context) -> pb.ModelInferResponse:
        """Answer tensors with tensors."""
        self._service.refuse_unless_ready()
        inference = to_inference(asked, trace)
        trace.items += max((len(one.array) for one in inference.inputs if one.array.ndim), default=0)
        found = await self._answering.infer(inference)
        trace.model = found.model
        trace.tokens += found.tokens
        return of_inferred(found)

    async def model_stream_infer(
        self, asked: AsyncIterator[pb.ModelInferRequest], trace: Trace, context: Context
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Answer requests one by one, in order; one that is refused ends no other."""
        async for one in asked:
            try:
                found = await self.model_infer(one, trace, context)
            except RequestError as error:
                refused = pb.ModelInferResponse(model_name=one.model_name, id=one.id)
                yield pb.ModelStreamInferResponse(error_message=str(error), infer_response=refused)
            else:
                yield pb.ModelStreamInferResponse(infer_response=found)

    async def model_statistics(
        self, asked: pb.ModelStatisticsRequest, _: Trace, __: Context
    ) -> pb.ModelStatisticsResponse:
        """Tell what a package has done, or every package where none is named."""
        registry = self._answering.registry
        found = list(registry.ready)
        if asked.name:
            found = [self._answering.model(asked.name, asked.version)]
            if not asked.version:
                found = [entry for entry in registry.versions(asked.name).values() if isinstance(entry, Model)]
        return of_statistics(statistics(self._service.metrics, found))

    async def repository_index(
        self, asked: pb.RepositoryIndexRequest, _: Trace, __: Context
    ) -> pb.RepositoryIndexResponse:
        """List every version of every package with its state."""
        answer = pb.RepositoryIndexResponse()
        for entry in metadata.index(self._answering.registry, ready_alone=asked.ready):
            answer.models.add(**entry)
        return answer

    async def repository_model_load(
        self, asked: pb.RepositoryModelLoadRequest, _: Trace, __: Context
    ) -> pb.RepositoryModelLoadResponse:
        """Open every version of a package that is on disk."""
        await self._repository.load(asked.model_name, dict.fromkeys(asked.parameters))
        return pb.RepositoryModelLoadResponse()

    async def repository_model_unload(
        self, asked: pb.RepositoryModelUnloadRequest, _: Trace, __: Context
    ) -> pb.RepositoryModelUnloadResponse:
        """Close every version of a package."""
        await self._repository.unload(asked.model_name)
        return pb.RepositoryModelUnloadResponse()
