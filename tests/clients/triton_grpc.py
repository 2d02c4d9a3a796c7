"""A session of NVIDIA's tritonclient over gRPC, told as JSON: python triton_grpc.py HOST:PORT."""

import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2

GOOD, BAD = "a good film, very good", "a bad film, very bad"


def text(*texts: str) -> Any:
    tensor = triton.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array(texts, object))
    return tensor


def refusal(ask: Any) -> list[str]:
    try:
        ask()
    except triton.InferenceServerException as refused:
        return [str(refused.status()), refused.message()]
    return []


def streamed(client: Any) -> list[str]:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for one in (text(GOOD), text(" "), text(BAD)):
        client.async_stream_infer("tiny", [one], outputs=[triton.InferRequestedOutput("labels")])
    found = [answers.get(timeout=20) for _ in range(3)]
    client.stop_stream()
    return [error.message() if error else result.as_numpy("labels")[0].decode() for result, error in found]


def fields() -> dict[str, list[list[Any]]]:
    """Return the messages of the protocol as this client knows them."""
    return {
        message.full_name: [[field.number, field.name, field.type] for field in message.fields]
        for message in service_pb2.DESCRIPTOR.message_types_by_name.values()
    }


def main(address: str) -> dict[str, Any]:
    client = triton.InferenceServerClient(address)
    answer = client.infer("tiny", [text(GOOD, BAD)], request_id="seven", model_version="1")
    typed = service_pb2.ModelInferRequest(model_name="tiny")
    ids = typed.inputs.add(name="ids", datatype="INT64", shape=[2, 2])
    ids.contents.int64_contents.extend([5, 6, 7, 8])
    logits = client._client_stub.ModelInfer(typed)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "models ready": [client.is_model_ready("tiny", version) for version in ("", "1", "7")],
        "server": client.get_server_metadata(as_json=True),
        "model": client.get_model_metadata("tiny", as_json=True),
        "index": client.get_model_repository_index(as_json=True),
        "statistics": client.get_inference_statistics("tiny", as_json=True),
        "id": answer.get_response().id,
        "version": answer.get_response().model_version,
        "labels": [label.decode() for label in answer.as_numpy("labels")],
        "scores": answer.as_numpy("scores").tolist(),
        "logits": np.frombuffer(logits.raw_output_contents[0], "<f4").tolist(),
        "streamed": streamed(client),
        "refusals": {
            "unknown model": refusal(lambda: client.infer("nobody", [text(GOOD)])),
            "no text": refusal(lambda: client.infer("tiny", [text(" ")])),
            "too late": refusal(lambda: client.infer("tiny", [text(*[GOOD * 20] * 100)], client_timeout=1e-4)),
        },
        "fields": fields(),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
