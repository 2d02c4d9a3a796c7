"""What every package has in common as it is written: its table of files, its manifest, and its place among models."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from app.modelpack import manifest as schema
from app.modelpack.manifest import File, Manifest
from app.modelpack.store import open_package

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
    return {name: metadata.version(name) for name in LIBRARIES}


def write(manifest: Manifest, folder: Path) -> None:
    """Write manifest.json."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / schema.FILE).write_text(text + "\n", encoding="utf-8")


@contextmanager
def staging(models: Path, name: str, version: int) -> Iterator[Path]:
    """Yield the folder that a package is written to before it is put into ``models``."""
    models.mkdir(parents=True, exist_ok=True)
    # A name that begins with a dot is no package to the service, which may be watching this folder.
    with TemporaryDirectory(prefix=".packing-", dir=models) as beside:
        yield Path(beside) / name / str(version)


def finish(manifest: Manifest, staged: Path, models: Path) -> Path:
    """Write the manifest of a package that is whole, open it once, put it in its place, and return its folder."""
    write(manifest.model_copy(update={"files": files(staged)}), staged)
    open_package(staged)
    final = models / manifest.name / str(manifest.version)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        final.rename(staged.parent / "replaced")
    staged.rename(final)
    return final
