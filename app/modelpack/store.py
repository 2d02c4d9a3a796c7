"""Finds the packages below a folder, verifies every file, and says what is wrong with each that it refuses.

    models/<name>/<version>/manifest.json ...

Nothing of a package is opened before every file that its manifest lists has its size and SHA-256. A refused package is
kept in the listing with the reason, and never hinders the others. A folder whose name begins with a dot is no package:
it is where one is written before it is renamed to its place (``app.modelpack.install``).
"""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.manifest import Graph, Manifest
from app.modelpack.onnxfile import refuse_external_data
from app.modelpack.tokenizer import TextTokenizer

_MAX_MANIFEST_BYTES = 1 << 20

Key = tuple[str, int]
"""A package's name and version."""
Wanted = Callable[[Manifest], Collection[str]]
"""Names the files of a package that are read as soon as all of it is verified."""


@dataclass(frozen=True, slots=True)
class Package:
    """A verified package on disk."""

    manifest: Manifest
    folder: Path
    digest: str
    """SHA-256 of its manifest, and so of every file of it."""
    _kept: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """What was read to be verified and is wanted soon."""

    @property
    def name(self) -> str:
        """Its name, which is also its folder's parent's."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """Its version, which is also its folder's name."""
        return self.manifest.version

    def read(self, file: str) -> bytes:
        """Return a listed file's content, which is sure to be what the manifest's hash says."""
        kept = self._kept.get(file)
        return _verified(self.folder, file, self.manifest.files[file]) if kept is None else kept

    def keep(self, file: str, raw: bytes) -> None:
        """Have ``read`` give what was verified just now, until ``let_go``."""
        self._kept[file] = raw

    def let_go(self) -> None:
        """Free what is kept: it is opened, and ``read`` reads from disk again."""
        self._kept.clear()

    def graph_bytes(self, graph: Graph) -> bytes:
        """Return an ONNX file's content, hash checked: the one that was found to be without external data."""
        return self.read(graph.file)

    def tokenizer(self) -> TextTokenizer:
        """Open the package's tokenizer."""
        spec = self.manifest.tokenizer
        return TextTokenizer.from_json(self.read(spec.file), spec, self.manifest.limits.max_tokens)


@dataclass(frozen=True, slots=True)
class Refused:
    """A package that is not open, and why: it could not be opened, or an operator closed it."""

    name: str
    version: int
    reason: str
    state: Literal["failed", "unloaded"] = "failed"


def discover(root: Path) -> list[Package | Refused]:
    """Return every package below ``root``, verified or refused, by name and then version, lowest first."""
    found: list[Package | Refused] = []
    for folder in version_folders(root):
        try:
            found.append(open_package(folder))
        except PackageError as refused:
            found.append(Refused(folder.parent.name, int(folder.name), str(refused)))
    return found


def survey(root: Path, name: str | None = None) -> dict[Key, str]:
    """Return the digest of every package below ``root``, or of those called ``name``, by name and then version.

    The digest is that of the manifest as it stands there, empty where there is none that can be read.
    """
    return {
        (folder.parent.name, int(folder.name)): _digest(folder)
        for folder in version_folders(root)
        if name in {None, folder.parent.name}
    }


def folder_of(root: Path, key: Key) -> Path:
    """Return the folder of a package below ``root``."""
    name, version = key
    return root / name / str(version)


def latest(name_folder: Path) -> Path:
    """Return the folder of the highest version below ``models/<name>``; ``PackageError`` where there is none."""
    if not name_folder.is_dir():
        raise PackageError(name_folder.name, "no such folder", "a package's folder, as models/name or models/name/1")
    versions = [folder for folder in _children(name_folder) if _is_version(folder.name)]
    if not versions:
        raise PackageError(
            name_folder.name, "no version folder", "a folder named by a whole number, as in models/name/1"
        )
    return max(versions, key=lambda folder: int(folder.name))


def manifest_of(folder: Path) -> Manifest:
    """Return what a package says of itself, with none of its files looked at; ``PackageError`` where it cannot."""
    return schema.parse(_read_inside(folder, schema.FILE, _MAX_MANIFEST_BYTES))


def open_package(folder: Path, wanted: Wanted = lambda _: ()) -> Package:
    """Return the package in ``folder`` once every file of it is verified; ``PackageError`` says what is wrong.

    What is ``wanted`` is kept until it is let go of, so that opening it neither reads nor hashes it again.
    """
    written = _read_inside(folder, schema.FILE, _MAX_MANIFEST_BYTES)
    manifest = schema.parse(written)
    if manifest.name != folder.parent.name:
        raise PackageError(schema.FILE, f"name is {manifest.name!r}", f"{folder.parent.name!r}, as its folder")
    if str(manifest.version) != folder.name:
        raise PackageError(schema.FILE, f"version is {manifest.version}", f"{folder.name}, as its folder")
    package = Package(manifest, folder, hashlib.sha256(written).hexdigest())
    graphs, kept = {graph.file for graph in manifest.graphs}, wanted(manifest)
    for file in manifest.files:
        raw = package.read(file)
        if file in graphs:
            refuse_external_data(file, raw)
        if file in kept:
            package.keep(file, raw)
    return package


def version_folders(root: Path) -> list[Path]:
    """Return the folder of every package below ``root``, by name and then version, lowest first."""
    names = [folder for folder in _children(root) if not folder.name.startswith(".")]  # a package under way, or .git
    folders = [version for name in names for version in _children(name) if _is_version(version.name)]
    return sorted(folders, key=lambda folder: (folder.parent.name, int(folder.name)))


def _digest(folder: Path) -> str:
    try:
        return hashlib.sha256(_read_inside(folder, schema.FILE, _MAX_MANIFEST_BYTES)).hexdigest()
    except PackageError:
        return ""


def _children(folder: Path) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if child.is_dir()]
    except (FileNotFoundError, NotADirectoryError):  # it may go while it is looked at
        return []


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")


def _verified(folder: Path, file: str, expected: schema.File) -> bytes:
    raw = _read_inside(folder, file, expected.bytes)
    if len(raw) != expected.bytes:
        raise PackageError(file, f"{len(raw)} bytes", f"{expected.bytes} bytes")
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 != expected.sha256:
        raise PackageError(file, f"sha256 {sha256}", f"sha256 {expected.sha256}")
    return raw


def _read_inside(folder: Path, file: str, max_bytes: int) -> bytes:
    path = folder / file
    try:
        step = folder.parent
        for part in path.relative_to(step).parts:
            step /= part
            if step.is_symlink():
                raise PackageError(file, f"{step.name!r} is a symbolic link", "regular files and folders only")
        if not path.exists():
            raise PackageError(file, "missing", "a regular file")
        if not path.is_file():
            raise PackageError(file, "not a regular file", "a regular file")
        with path.open("rb") as opened:
            return opened.read(max_bytes + 1)  # one more, so that a longer file is seen without reading all of it
    except OSError as broken:
        raise PackageError(file, f"unreadable ({broken.strerror})", "a readable file") from broken
