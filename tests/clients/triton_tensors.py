"""NVIDIA's tritonclient asks a package of numbers, told as JSON: python triton_tensors.py http|grpc HOST:PORT."""

import importlib
import json
import sys
from typing import Any

import numpy as np

IN = 4
DATATYPES = {"<f4": "FP32", "<f8": "FP64", "<i8": "INT64"}


def drawn(rows: int, steps: int) -> dict[str, Any]:
    numbers = np.arange(rows * steps * IN, dtype=np.float32)
    return {
        "x": np.sin(numbers).reshape(rows, steps, IN).astype(np.float32),
        "shift": np.arange(rows, dtype=np.int64),
    }


def main(protocol: str, address: str) -> dict[str, Any]:
    triton = importlib.import_module(f"tritonclient.{protocol}")
    client = triton.InferenceServerClient(address)
    forms: list[dict[str, Any]] = [{}] if protocol == "grpc" else [{"binary_data": True}, {"binary_data": False}]

    def tensors(feeds: dict[str, Any], form: dict[str, Any]) -> list[Any]:
        found = []
        for name, array in feeds.items():
            found.append(triton.InferInput(name, list(array.shape), DATATYPES[array.dtype.str]))
            found[-1].set_data_from_numpy(array, **form)
        return found

    def states(answer: Any) -> str:
        return str(answer.as_numpy("states").astype("<f4").tobytes().hex())

    def refusal(feeds: dict[str, Any]) -> str:
        try:
            client.infer("lstm", tensors(feeds, forms[0]))
        except triton.InferenceServerException as refused:
            return str(refused.message())
        return ""

    answers = []
    for form in forms:
        outputs = [triton.InferRequestedOutput(name, **form) for name in ("states", "next")]
        answer = client.infer("lstm", tensors(drawn(3, 5), form), outputs=outputs)
        answers.append({"states": states(answer), "next": answer.as_numpy("next").tolist()})
    metadata = client.get_model_metadata("lstm", **({"as_json": True} if protocol == "grpc" else {}))
    feeds = drawn(2, 3)
    return {
        "ready": client.is_model_ready("lstm"),
        "inputs": [[one["name"], one["datatype"], list(map(int, one["shape"]))] for one in metadata["inputs"]],
        "answers": answers,
        "others": [states(client.infer("lstm", tensors(drawn(rows, 2), forms[0]))) for rows in (1, 2, 3)],
        "refusals": {
            "type": refusal(feeds | {"x": feeds["x"].astype(np.float64)}),
            "shape": refusal(feeds | {"x": feeds["x"][..., :3].copy()}),
            "missing": refusal({"x": feeds["x"]}),
        },
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201
