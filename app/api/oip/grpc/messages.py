"""The protocol's messages to requests and back."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.api.oip.exchange import Inference, Inferred
from app.api.oip.grpc import inference_pb2 as pb
from app.api.oip.tensor import BYTES, Tensor, of_bytes, of_values, text_of, to_bytes
from app.api.trace import Trace
from app.errors import InvalidInference

_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where a datatype's values stand; FP16 has no place there and comes raw."""


def to_inference(message: pb.ModelInferRequest, trace: Trace) -> Inference:
    """Return the request in a message; ``InvalidInference`` where its tensors are not what they say."""
    parameters = _parameters(message.parameters)
    if parameters.get("sequence_id"):
        raise InvalidInference("parameters.sequence_id is given; sequences are not kept")
    return Inference(
        message.model_name,
        message.model_version or None,
        _tensors(message.inputs, message.raw_input_contents),
        [output.name for output in message.outputs] or None,
        message.id,
        parameters,
        trace.allowance,
        trace.haste,
        trace.sticky_key,
    )


def of_inferred(found: Inferred) -> pb.ModelInferResponse:
    """Return the answer with raw contents, which every datatype has."""
    answer = pb.ModelInferResponse(model_name=found.model, model_version=found.version, id=found.id)
    for name, value in found.parameters.items():
        answer.parameters[name].string_param = value
    for tensor in found.outputs:
        answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.array.shape)
        answer.raw_output_contents.append(to_bytes(tensor))
    return answer


def of_metadata(told: Mapping[str, Any]) -> pb.ModelMetadataResponse:
    """Return a package's metadata; what REST tells beside inputs and outputs has no place here."""
    answer = pb.ModelMetadataResponse(name=told["name"], versions=told["versions"], platform=told["platform"])
    for side, ports in ((answer.inputs, told["inputs"]), (answer.outputs, told["outputs"])):
        for port in ports:
            side.add(name=port["name"], datatype=port["datatype"], shape=port["shape"])
    return answer


def of_statistics(told: Mapping[str, Any]) -> pb.ModelStatisticsResponse:
    """Return packages' figures."""
    answer = pb.ModelStatisticsResponse()
    for one in told["model_stats"]:
        spent = {name: pb.StatisticDuration(**figures) for name, figures in one["inference_stats"].items()}
        counts = {name: one[name] for name in ("name", "version", "last_inference", "inference_count")}
        answer.model_stats.add(
            **counts, execution_count=one["execution_count"], inference_stats=pb.InferStatistics(**spent)
        )
    return answer


def _tensors(inputs: Sequence[pb.ModelInferRequest.InferInputTensor], raw: Sequence[bytes]) -> list[Tensor]:
    if raw and len(raw) != len(inputs):
        raise InvalidInference(f"raw_input_contents has {len(raw)} tensors; expected {len(inputs)}, one an input")
    for one in inputs:
        if "shared_memory_region" in one.parameters:
            raise InvalidInference("parameters.shared_memory_region is given; memory is not shared")
        if raw and one.HasField("contents"):
            raise InvalidInference(f"input {one.name!r} has contents and raw_input_contents; expected one of them")
    if raw:
        return [of_bytes(one.name, one.datatype, one.shape, data) for one, data in zip(inputs, raw, strict=True)]
    return [of_values(one.name, one.datatype, list(one.shape), _values(one)) for one in inputs]


def _values(one: pb.ModelInferRequest.InferInputTensor) -> list[Any]:
    place = _CONTENTS.get(one.datatype)
    if place is None:
        return []  # no such datatype, or one that comes raw: what reads the values says so
    values: list[Any] = list(getattr(one.contents, place))
    return [text_of(one.name, value) for value in values] if one.datatype == BYTES else values


def _parameters(given: Mapping[str, pb.InferParameter]) -> dict[str, Any]:
    found = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(parameter, choice)
    return found
