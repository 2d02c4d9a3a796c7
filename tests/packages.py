"""Packages for the tests: the tiny one of tests/fixtures, copied and then broken on purpose."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures"
PACKAGES = FIXTURES / "packages"
TINY = PACKAGES / "tiny" / "1"

Edit = Callable[[dict[str, Any]], None]


def copy_tiny(root: Path, name: str = "tiny", version: int = 1, edit: Edit | None = None) -> Path:
    """Copy the tiny package to ``root/<name>/<version>``, named so in its manifest, and return its folder."""
    folder = root / name / str(version)
    shutil.copytree(TINY, folder)

    def rename(manifest: dict[str, Any]) -> None:
        manifest.update(name=name, version=version)
        if edit is not None:
            edit(manifest)

    edit_manifest(folder, rename)
    return folder


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
