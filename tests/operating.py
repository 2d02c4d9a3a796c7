"""What an operator does to a running service: packages that differ, a key, changes over HTTP."""

from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import onnx
from onnx import helper, numpy_helper

from app.keys.key import line_of, mint
from tests.packages import TINY, copy_package, write_file

TEXT = "good film"


def keys_file(folder: Path) -> tuple[Path, str]:
    """Write a file with one key that opens everything; return it and the key."""
    secret, file = mint(), folder / "keys.toml"
    file.write_text(line_of("operator", secret, {"scopes": ["predict", "admin", "metrics"]}), "utf-8")
    return file, secret


class Reachable(Protocol):
    """A service, however it was started."""

    @property
    def url(self) -> str:
        """Where it is."""


class Operator:
    """Somebody with an admin key."""

    def __init__(self, service: Reachable, secret: str) -> None:
        self._url = service.url
        self._headers = {"Authorization": f"Bearer {secret}", "Connection": "close"}

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Send a request with the key, over a connection of its own."""
        url = f"{self._url}{path}"
        return httpx.request(method, url, headers=self._headers, json=body, timeout=60)

    def reload(self) -> dict[str, Any]:
        """Have the service look at its folder."""
        return self.must(self.ask("POST", "/admin/reload"))

    def must(self, answer: httpx.Response) -> dict[str, Any]:
        """Return the body of an answer that says yes."""
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def classify(self, version: int | str | None = None, model: str | None = "tiny", **headers: str) -> dict[str, Any]:
        """Ask for a text's label."""
        body = {"inputs": TEXT, "model": model, "version": version}
        answer = httpx.post(f"{self._url}/v1/sentiment", headers=self._headers | headers, json=body)
        return self.must(answer)


def louder(
    root: Path,
    version: int,
    name: str = "tiny",
    source: Path = TINY,
    place: Path | None = None,
    *,
    factor: float | None = None,
    mark: str = "",
) -> Path:
    """Write a version whose scores are its own: its logits are scaled by a factor that depends on the version.

    ``place``: where to, in place of its folder below ``root``. ``factor``: another; below 0 the labels change.
    ``mark``: a text that its graphs hold, by which a fault finds them.
    """
    folder = copy_package(source, place or root, name, version)
    for file in ("model.onnx", "model.int8.onnx"):
        model = onnx.load(folder / file)
        for node in model.graph.node:
            for at, output in enumerate(node.output):
                if output == "logits":
                    node.output[at] = "quiet_logits"
        scale = np.array(0.05 + 0.01 * version if factor is None else factor, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(scale, "factor"))
        model.producer_name = mark
        model.graph.node.append(helper.make_node("Mul", ["quiet_logits", "factor"], ["logits"]))
        write_file(folder, file, model.SerializeToString())
    return folder
