"""Puts a package among the models in one step: written beside them under a name that is passed over, then renamed."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.store import Key, folder_of, manifest_of, open_package


def install(source: Path, root: Path) -> Key:
    """Copy the package in ``source``, whatever that folder is called, below ``root``; return its name and version.

    ``PackageError`` where it is not whole, or its name and version are taken: then nothing is changed. A service that
    is watching ``root``, or reloads meanwhile, sees either nothing of it or all.
    """
    manifest = manifest_of(source)
    key = manifest.name, manifest.version
    final = folder_of(root, key)
    if final.exists():
        raise PackageError(schema.FILE, f"version {manifest.version} of {manifest.name} is there", "a new version")
    with TemporaryDirectory(prefix=".incoming-", dir=root) as beside:
        staged = folder_of(Path(beside), key)
        shutil.copytree(source, staged, symlinks=True)  # a link is copied as one, and refused
        open_package(staged)
        final.parent.mkdir(exist_ok=True)
        try:
            staged.rename(final)
        except OSError as taken:
            raise PackageError(schema.FILE, f"not put in place ({taken.strerror})", "a version that is new") from taken
    return key
