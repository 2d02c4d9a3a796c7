"""A session of NVIDIA's tritonclient over HTTP, told as JSON: python triton_http.py HOST:PORT."""

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton

GOOD, BAD = "a good film, very good", "a bad film, very bad"


def text(*texts: str, binary: bool) -> Any:
    tensor = triton.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array(texts, object), binary_data=binary)
    return tensor


def refusal(ask: Any) -> list[str]:
    try:
        ask()
    except triton.InferenceServerException as refused:
        return [str(refused.status()), refused.message()]
    return []


def main(address: str) -> dict[str, Any]:
    client = triton.InferenceServerClient(address)
    told: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "models ready": [client.is_model_ready("tiny", version) for version in ("", "1", "7")],
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("tiny"),
        "index": client.get_model_repository_index(),
    }
    for name, binary in (("json", False), ("binary", True)):
        wanted = [triton.InferRequestedOutput(output, binary_data=binary) for output in ("labels", "scores")]
        answer = client.infer("tiny", [text(GOOD, BAD, binary=binary)], outputs=wanted, request_id="seven")
        told[name] = {
            "id": answer.get_response()["id"],
            "labels": [
                str(label, "utf-8") if isinstance(label, bytes) else label for label in answer.as_numpy("labels")
            ],
            "scores": answer.as_numpy("scores").tolist(),
        }
    every = client.infer("tiny", [text(GOOD, " ", binary=True)])
    told["all outputs"] = [output["name"] for output in every.get_response()["outputs"]]
    told["errors"] = [str(code, "utf-8") for code in every.as_numpy("errors")]
    ids, lens = triton.InferInput("ids", [2, 3], "INT64"), triton.InferInput("lens", [2], "INT64")
    ids.set_data_from_numpy(np.array([[5, 6, 0], [7, 8, 9]], np.int64))
    lens.set_data_from_numpy(np.array([2, 3], np.int64))
    logits = client.infer("tiny", [ids, lens]).as_numpy("logits")
    told["logits"] = [str(logits.dtype), logits.tolist()]
    many = [client.async_infer("tiny", [text(GOOD, binary=True)]) for _ in range(20)]
    told["at once"] = sorted({str(one.get_result().as_numpy("labels")[0], "utf-8") for one in many})
    told["summary"] = [
        str(one, "utf-8")
        for one in client.infer(
            "writer", [text("In Oslo, Ann opens the old bridge.", binary=True)], parameters={"max_tokens": 5}
        ).as_numpy("summaries")
    ]
    told["statistics"] = client.get_inference_statistics("tiny", "1")
    told["refusals"] = {
        "unknown model": refusal(lambda: client.infer("nobody", [text(GOOD, binary=True)])),
        "unknown input": refusal(lambda: client.infer("writer", [lens])),
        "untold failure": refusal(
            lambda: client.infer("tiny", [text(" ", binary=True)], outputs=[triton.InferRequestedOutput("labels")])
        ),
    }
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
