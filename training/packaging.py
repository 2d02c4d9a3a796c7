"""What every package has in common as it is written: its table of files, its manifest, and its place among models."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from app.modelpack import manifest as schema
from app.modelpack.manifest import File, Manifest

LIBRARIES = ("torch", "lightning", "tokenizers", "onnx", "onnxruntime", "scikit-learn", "scipy", "numpy", "datasets")


def files(folder: Path) -> dict[str, File]:
    """Return the table of a package's files, all but the manifest itself."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != schema.FILE)
    return {path.relative_to(folder).as_posix(): File(bytes=path.stat().st_size, sha256=sha256(path)) for path in paths}


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def libraries() -> dict[str, str]:
    """Return the versions of what a package is made with."""
    return {name: version(name) for name in LIBRARIES}


def write(manifest: Manifest, folder: Path) -> None:
    """Write manifest.json."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / schema.FILE).write_text(text + "\n", encoding="utf-8")


def place(staged: Path, final: Path) -> Path:
    """Put a package that is whole where it is served from, in place of what is there, and return its folder."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        final.rename(staged.parent / "replaced")
    staged.rename(final)
    return final
