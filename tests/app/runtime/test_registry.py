"""The registry: the highest version that opened answers, the refused ones are told apart from the unknown."""

from functools import partial
from pathlib import Path

import pytest

from app.errors import AmbiguousModel, ModelNotFound, ModelUnavailable
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.registry import Registry
from tests.packages import TOPIC, copy_package, copy_tiny, edit_manifest, every_task


def registry(root: Path) -> Registry:
    made = Registry(root, partial(open_model, provider=choose("cpu")))
    made.open_all()
    return made


def test_the_highest_version_that_opened_answers(tmp_path: Path) -> None:
    copy_tiny(tmp_path, version=1)
    copy_tiny(tmp_path, version=2)
    (copy_tiny(tmp_path, version=3) / "model.onnx").unlink()
    opened = registry(tmp_path)
    assert opened.get("sentiment", "tiny").package.version == 2
    assert opened.get("sentiment", "tiny", 1).package.version == 1
    with pytest.raises(ModelUnavailable):
        opened.get("sentiment", "tiny", 3)


def test_an_unknown_name_or_version_names_those_there_are(tmp_path: Path) -> None:
    copy_tiny(tmp_path)
    opened = registry(tmp_path)
    with pytest.raises(ModelNotFound, match=r"'tony' is not here; expected one of \['tiny'\]"):
        opened.get("sentiment", "tony")
    with pytest.raises(ModelNotFound, match=r"version 9 of model 'tiny' is not here; expected one of \[1\]"):
        opened.get("sentiment", "tiny", 9)


def test_a_package_that_verifies_but_does_not_open_is_listed_as_failed(tmp_path: Path) -> None:
    edit_manifest(copy_tiny(tmp_path), lambda manifest: manifest["graphs"][1]["inputs"][0].update(name="tokens"))
    (refused,) = registry(tmp_path).failed
    assert "as the manifest says" in refused.reason


def test_the_package_named_after_task_and_language_is_the_default(tmp_path: Path) -> None:
    copy_tiny(tmp_path, "aaa")
    copy_tiny(tmp_path, "sentiment-en")
    copy_tiny(tmp_path, "chinese", edit=lambda manifest: manifest.update(languages=["zh"]))
    opened = registry(tmp_path)
    english, chinese = opened.default("sentiment", "en"), opened.default("sentiment", "zh")
    assert english is not None
    assert chinese is not None
    assert (english.model.name, chinese.model.name) == ("sentiment-en", "chinese")
    assert opened.default("sentiment", "fr") is None
    assert opened.languages("sentiment") == ["en", "zh"]
    assert opened.languages("topic") == []
    assert opened.default_for("sentiment-en") == ["en"]
    assert opened.default_for("aaa") == []


def test_among_several_packages_without_that_name_none_is_the_default(tmp_path: Path) -> None:
    copy_tiny(tmp_path, "films", version=1)
    copy_tiny(tmp_path, "films", version=2)
    opened = registry(tmp_path)
    only = opened.default("sentiment", "en")
    assert only is not None
    assert only.model.package.version == 2
    copy_tiny(tmp_path, "books")
    copy_package(TOPIC, tmp_path, "topic-en")
    with pytest.raises(AmbiguousModel, match=r"2 packages .* serve 'en'; expected a model among \['books', 'films'\]"):
        registry(tmp_path).default("sentiment", "en")


def test_each_task_has_a_default_of_its_own(tmp_path: Path) -> None:
    opened = registry(every_task(tmp_path))
    names = {
        (task, language): found.model.name
        for task, language in [("sentiment", "en"), ("sentiment", "zh"), ("topic", "en"), ("classify", "en")]
        if (found := opened.default(task, language)) is not None  # type: ignore[arg-type]
    }
    assert list(names.values()) == ["sentiment-en", "sentiment-zh", "topic-en", "my-tickets"]
    assert opened.default("topic", "zh") is None
    assert opened.task_of("my-tickets") == "classify"
    with pytest.raises(ModelNotFound, match="'topic-en' is for topic; expected a model for sentiment"):
        opened.get("sentiment", "topic-en")
