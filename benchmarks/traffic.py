"""One caller who asks for everything there is, well and badly, at every length, and sometimes leaves in the middle."""

import gzip
import json
import random
import socket
from typing import TYPE_CHECKING, Self

import grpc
import httpx

from app.api.oip.grpc import inference_pb2 as pb
from benchmarks.openloop import request
from benchmarks.texts import texts

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT_S = 120.0
_OVERLOADED = {429}
"""What a service may always answer under load."""


class Traffic:
    """Its steps are drawn at random, with the seed's own order."""

    def __init__(self, url: str, tasks: dict[str, str], seed: int, key: str = "", grpc_port: int = 0) -> None:
        """``tasks``: the packages' tasks by name; ``key``: one for admin routes, for opening versions anew."""
        self._key, self._grpc_port = key, grpc_port
        self._url = httpx.URL(url)
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_S)
        self._random = random.Random(seed)  # noqa: S311 - a load, no secret
        self._texts = texts("mixed", 500, seed) + texts("long", 50, seed)
        self._tasks = tasks
        have = set(tasks.values())
        self._steps: list[tuple[str, Callable[[], str]]] = [
            ("catalogue", self._catalogue),
            ("provoked errors", self._provoke),
            ("leaving", self._leave),
        ]
        if key:
            self._steps += [("a version opened anew", self._swap)]
        if "sentiment" in have and grpc_port:
            self._steps += [("gRPC", self._call)]
        if "sentiment" in have:
            self._steps += [("one text", self._one)] * 6
            self._steps += [("many texts", self._many), ("explained", self._explained), ("lines", self._lines)]
            self._steps += [("/v2 infer", self._infer)]
        if "topic" in have:
            self._steps += [("topic", self._topic)] * 2
        if "summarize" in have:
            self._steps += [("summary", self._summary), ("streamed summary", self._stream)]
            self._steps += [("/v2 generate", self._generate)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def step(self) -> tuple[str, str]:
        """Ask for something; return its name and what was wrong with the answer, nothing where all was as expected."""
        name, ask = self._random.choice(self._steps)
        try:
            return name, ask()
        except (httpx.HTTPError, ValueError, KeyError, OSError) as broken:
            return name, type(broken).__name__

    def _text(self) -> str:
        return self._random.choice(self._texts)

    def _post(self, path: str, body: object, wanted: int = 200) -> str:
        return self._expect(self._client.post(path, json=body), wanted)

    def _expect(self, answer: httpx.Response, wanted: int = 200) -> str:
        good = answer.status_code == wanted or answer.status_code in _OVERLOADED
        return "" if good else f"{answer.status_code} instead of {wanted}"

    def _one(self) -> str:
        return self._post("/v1/sentiment", {"inputs": self._text(), "language": "en"})

    def _many(self) -> str:
        return self._post("/v1/sentiment", {"inputs": [self._text() for _ in range(32)], "language": "en"})

    def _explained(self) -> str:
        asked = {"inputs": self._text(), "language": "en", "explain": True, "sentences": True}
        return self._post("/v1/sentiment", asked)

    def _topic(self) -> str:
        return self._post("/v1/topic", {"inputs": self._text(), "model": self._named("topic")})

    def _lines(self) -> str:
        lines = "".join(json.dumps({"text": self._text()}) + "\n" for _ in range(50))
        headers, body = {"content-type": "application/x-ndjson"}, lines.encode()
        if self._random.random() < 0.5:
            headers, body = headers | {"content-encoding": "gzip"}, gzip.compress(body)
        answer = self._client.post("/v1/sentiment/bulk", content=body, headers=headers)
        found = answer.text.count("\n")
        return self._expect(answer) or ("" if found == 50 or answer.status_code == 429 else f"{found} lines of 50")

    def _named(self, wanted: str) -> str:
        return self._random.choice([name for name, task in self._tasks.items() if task == wanted])

    def _swap(self) -> str:
        """Have a version opened anew, which takes the place of itself under everybody's requests."""
        name = self._named(self._random.choice(sorted(set(self._tasks.values()))))
        version = self._client.get(f"/v1/models/{name}").json()["versions"][-1]["version"]
        path = f"/admin/models/{name}/versions/{version}/load"
        return self._expect(self._client.post(path, headers={"Authorization": f"Bearer {self._key}"}))

    def _generate(self) -> str:
        path = f"/v2/models/{self._named('summarize')}/generate"
        return self._post(self._random.choice([path, f"{path}_stream"]), {"text_input": self._text()})

    def _call(self) -> str:
        asked = pb.ModelInferRequest(model_name=self._named("sentiment"))
        asked.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(self._text().encode())
        with grpc.insecure_channel(f"{self._url.host}:{self._grpc_port}") as channel:
            infer = channel.unary_unary(
                "/inference.GRPCInferenceService/ModelInfer",
                request_serializer=pb.ModelInferRequest.SerializeToString,
                response_deserializer=pb.ModelInferResponse.FromString,
            )
            try:
                infer(asked, timeout=_TIMEOUT_S)
            except grpc.RpcError as refused:
                return "" if refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED else str(refused.code())
        return ""

    def _infer(self) -> str:
        tensor = {"name": "text", "datatype": "BYTES", "shape": [2], "data": [self._text(), self._text()]}
        return self._post(f"/v2/models/{self._named('sentiment')}/infer", {"inputs": [tensor]})

    def _summary(self) -> str:
        return self._post("/v1/summarize", {"inputs": self._text(), "language": "en"})

    def _stream(self) -> str:
        asked = {"inputs": self._text(), "language": "en", "stream": True}
        with self._client.stream("POST", "/v1/summarize", json=asked) as answer:
            if self._random.random() < 0.3:  # leaves while it is written
                return self._expect(answer)
            answer.read()
            return self._expect(answer)

    def _catalogue(self) -> str:
        path = self._random.choice(["/v1/models", "/health/live", "/health/ready", "/metrics", "/v2", "/openapi.json"])
        return self._expect(self._client.get(path))

    def _provoke(self) -> str:
        path, body, wanted = self._random.choice(
            [
                ("/v1/sentiment", b"{", 400),
                ("/v1/nothing", b"{}", 404),
                ("/v1/sentiment", b'{"inputs": 5}', 422),
                ("/v1/sentiment", b'{"inputs": " "}', 422),
                ("/v1/sentiment", b'{"inputs": "a", "model": "nobody"}', 404),
            ]
        )
        answer = self._client.post(path, content=body, headers={"content-type": "application/json"})
        return self._expect(answer, wanted)

    def _leave(self) -> str:
        """Send a part of a request, up to all of it, and hang up."""
        whole = request("x", {"inputs": [self._text()] * 8, "language": "en"})
        with socket.create_connection((self._url.host, self._url.port or 80), timeout=_TIMEOUT_S) as connection:
            connection.sendall(whole[: self._random.randint(0, len(whole))])
        return ""
