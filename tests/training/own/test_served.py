"""The package answers over HTTP, by the command that was shown."""

import json
import shlex
from pathlib import Path

import httpx

from tests.server import serving
from training.own.make import Made


def test_what_was_made_is_served_and_answers_as_shown(made: Made, folder: Path) -> None:
    command = shlex.split(made.ask)
    url, body = command[2], json.loads(command[-1])
    assert made.serve == f"sluice serve --models-dir {folder}/models"
    with serving(folder / "models") as server:
        asked = httpx.post(url.replace("http://127.0.0.1:8000", server.url), json=body)
        assert asked.status_code == httpx.codes.OK, asked.text
        (result,) = asked.json()["results"]
        assert asked.json()["model"] == "my-meals-2026"
        assert result["scores"].keys() == {"1", "3", "5"}
        labels = {
            httpx.post(f"{server.url}/v1/classify", json={"inputs": f"the {word} meal of day 7, we said"}).json()[
                "results"
            ][0]["label"]
            for word in ("awful", "superb")
        }
    assert labels == {"1", "5"}
