"""Packages for the tests: the tiny ones of tests/fixtures, copied and then broken or renamed on purpose."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures"
PACKAGES = FIXTURES / "packages"
TINY = PACKAGES / "tiny" / "1"
OTHERS = FIXTURES / "others"
CHINESE = OTHERS / "tiny-zh" / "1"
TOPIC = OTHERS / "tiny-topic" / "1"
SUMMARIES = OTHERS / "tiny-summaries" / "1"
"""Trained on tests/fixtures/data/summarization with the config of that name: it writes headlines, and sums up chats."""

Edit = Callable[[dict[str, Any]], None]


def first_schema(folder: Path) -> dict[str, Any]:
    """Return a package's manifest as schema version 1 had it: neither calibration nor baselines by name."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    for later in ("calibration", "generation", "extraction"):
        manifest.pop(later, None)
    for one in manifest["evaluation"]:
        one.pop("baselines", None)
    return manifest | {"schema_version": 1}


def copy_tiny(root: Path, name: str = "tiny", version: int = 1, edit: Edit | None = None) -> Path:
    """Copy the tiny package to ``root/<name>/<version>``, named so in its manifest, and return its folder."""
    return copy_package(TINY, root, name, version, edit)


def copy_package(source: Path, root: Path, name: str, version: int = 1, edit: Edit | None = None) -> Path:
    """Copy a package as ``copy_tiny`` does."""
    folder = root / name / str(version)
    shutil.copytree(source, folder)

    def rename(manifest: dict[str, Any]) -> None:
        manifest.update(name=name, version=version)
        if edit is not None:
            edit(manifest)

    edit_manifest(folder, rename)
    return folder


def every_task(root: Path) -> Path:
    """Fill ``root`` with sentiment-en, sentiment-zh, topic-en, a second topic package, and my-tickets to classify."""
    copy_tiny(root, "sentiment-en")
    copy_package(CHINESE, root, "sentiment-zh")
    for name, task in {"topic-en": "topic", "another-topic": "topic", "my-tickets": "classify"}.items():
        copy_package(TOPIC, root, name, edit=lambda manifest, task=task: manifest.update(task=task))  # type: ignore[misc]
    return root


def edit_manifest(folder: Path, edit: Edit) -> None:
    """Change a package's manifest in place."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    edit(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


def write_file(folder: Path, file: str, raw: bytes) -> None:
    """Write a file of a package and its size and hash into the manifest, so that only its content is at issue."""
    (folder / file).write_bytes(raw)

    def enter(manifest: dict[str, Any]) -> None:
        manifest["files"][file] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}

    edit_manifest(folder, enter)
