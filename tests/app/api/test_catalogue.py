"""GET /v1/models: what is served, and what was refused and why."""

from pathlib import Path

from starlette.testclient import TestClient

from app.api.schemas import ModelList
from tests.app.api.conftest import MakeClient
from tests.packages import copy_tiny


def test_a_package_is_listed_with_its_task_labels_and_versions(client: TestClient) -> None:
    answer = client.get("/v1/models")
    ModelList.model_validate_json(answer.content)
    (tiny,) = answer.json()["models"]
    assert (tiny["name"], tiny["task"], tiny["languages"]) == ("tiny", "sentiment", ["en"])
    assert tiny["labels"] == ["negative", "neutral", "positive"]
    (version,) = tiny["versions"]
    assert (version["state"], version["precision"], version["provider"]) == ("ready", "int8", "cpu")
    assert client.get("/v1/models/tiny").json() == tiny


def test_a_refused_package_is_listed_with_its_reason(make_client: MakeClient, tmp_path: Path) -> None:
    copy_tiny(tmp_path, "good")
    copy_tiny(tmp_path, "mixed", 1)
    (copy_tiny(tmp_path, "mixed", 2) / "tokenizer.json").write_text("{}")
    client = make_client(tmp_path)
    mixed = client.get("/v1/models/mixed").json()
    assert mixed["default_version"] == 1
    assert [version["state"] for version in mixed["versions"]] == ["ready", "failed"]
    assert mixed["versions"][1]["reason"].startswith("tokenizer.json: 2 bytes; expected ")


def test_an_unknown_package_is_404_that_names_the_known(client: TestClient) -> None:
    answer = client.get("/v1/models/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
    assert "['tiny']" in answer.json()["error"]
