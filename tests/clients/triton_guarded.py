"""What NVIDIA's tritonclient hears of keys, limits and sizes over gRPC, as JSON: HOST:PORT FREE WATCHER LIMITED."""

import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton


def text(*texts: str) -> Any:
    tensor = triton.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array(texts, object))
    return tensor


def ask(client: Any, tensor: Any, headers: dict[str, str], **more: Any) -> list[str]:
    try:
        client.infer("tiny", [tensor], headers=headers, **more)
    except triton.InferenceServerException as refused:
        return [str(refused.status()), refused.message()]
    return ["OK", ""]


def main(address: str, free: str, watcher: str, limited: str) -> dict[str, Any]:
    client, one = triton.InferenceServerClient(address), text("a good film")
    key = {"authorization": f"Bearer {free}"}
    big = text("good " * 100_000)
    return {
        "no key": ask(client, one, {}),
        "a wrong key": ask(client, one, {"authorization": "Bearer nobody"}),
        "another scope": ask(client, one, {"x-api-key": watcher}),
        "bearer": ask(client, one, key),
        "x-api-key": ask(client, one, {"x-api-key": free}),
        "limited": [ask(client, text("good", "bad"), {"x-api-key": limited}) for _ in range(3)],
        "packed": ask(client, one, key, compression_algorithm="gzip"),
        "big": ask(client, big, key),
        "big and packed": ask(client, big, key, compression_algorithm="gzip"),
        "afterwards": ask(client, one, key),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201
