"""NVIDIA's tritonclient opens and closes packages, told as JSON: python triton_repository.py HTTP GRPC KEY."""

import json
import sys
from typing import Any

import tritonclient.grpc
import tritonclient.http


def refusal(exception: type[Exception], ask: Any) -> str:
    try:
        ask()
    except exception as refused:
        return str(refused)
    return ""


def told(client: Any, kind: Any, key: dict[str, str]) -> dict[str, Any]:
    def ready() -> bool:
        return bool(client.is_model_ready("tiny", headers=key))

    found: dict[str, Any] = {
        "without a key": refusal(kind.InferenceServerException, lambda: client.unload_model("tiny")),
        "unknown": refusal(kind.InferenceServerException, lambda: client.load_model("nobody", headers=key)),
        "brought along": refusal(
            kind.InferenceServerException, lambda: client.load_model("tiny", headers=key, config="{}")
        ),
        "ready": [ready()],
    }
    client.unload_model("tiny", headers=key)
    found["ready"].append(ready())
    client.load_model("tiny", headers=key)
    found["ready"].append(ready())
    return found


def main(http: str, grpc: str, secret: str) -> dict[str, Any]:
    key = {"authorization": f"Bearer {secret}"}
    return {
        "http": told(tritonclient.http.InferenceServerClient(http), tritonclient.http, key),
        "grpc": told(tritonclient.grpc.InferenceServerClient(grpc), tritonclient.grpc, key),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201
