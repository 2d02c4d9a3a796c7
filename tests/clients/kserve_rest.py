"""A session of KServe's client over HTTP, told as JSON: python kserve_rest.py URL."""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

GOOD, BAD = "a good film, very good", "a bad film, very bad"


async def main(url: str) -> dict[str, Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=30)) as client:
        told: dict[str, Any] = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "models ready": [await client.is_model_ready(url, name) for name in ("tiny", "nobody")],
        }
        plain = InferInput("text", [2], "BYTES", [GOOD, BAD])
        answer = await client.infer(url, InferRequest("tiny", [plain], request_id="seven"), "tiny")
        told["json"] = {
            "id": answer.id,
            "labels": answer.outputs[0].data,
            "scores": answer.outputs[1].as_numpy().tolist(),
        }
        ids = InferInput("ids", [2, 2], "INT64")
        ids.set_data_from_numpy(np.array([[5, 6], [7, 8]], np.int64), binary_data=True)
        request = InferRequest("tiny", [ids], parameters={"binary_data_output": True})
        logits = (await client.infer(url, request, "tiny")).outputs[0]
        told["binary"] = [logits.name, logits.as_numpy().tolist()]
        try:
            await client.infer(url, InferRequest("nobody", [plain]), "nobody")
        except httpx.HTTPStatusError as refused:
            told["refused"] = [refused.response.status_code, str(refused)]
        return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))  # noqa: T201
