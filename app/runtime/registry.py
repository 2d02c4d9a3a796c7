"""The packages of this process: opened ones answer, refused ones are listed with their reason."""

from collections.abc import Callable, Iterator
from pathlib import Path

from app.errors import ModelNotFound, ModelUnavailable, PackageError
from app.modelpack.manifest import Task
from app.modelpack.store import Package, Refused, discover
from app.runtime.model import Model

Entry = Model | Refused


class Registry:
    """Packages by name and version; filled once at start."""

    def __init__(self, root: Path, open_package: Callable[[Package], Model]) -> None:
        """``open_package`` opens a verified package, on the provider and at the precision of the caller's choice."""
        self._root = root
        self._open_package = open_package
        self._entries: dict[str, dict[int, Entry]] = {}
        self._defaults: dict[tuple[Task, str], Model] = {}
        self.ready: list[Model] = []
        self.failed: list[Refused] = []

    def open_all(self) -> None:
        """Open every package below the root; a broken one is kept as refused and hinders no other."""
        entries: dict[str, dict[int, Entry]] = {}
        for found in discover(self._root):
            entry = self._open(found) if isinstance(found, Package) else found
            entries.setdefault(found.name, {})[found.version] = entry
        self._entries = entries
        self.ready = [entry for entry in self if isinstance(entry, Model)]
        self.failed = [entry for entry in self if isinstance(entry, Refused)]
        self._defaults = _defaults(self.ready)

    def __iter__(self) -> Iterator[Entry]:
        """Yield every entry by name, lowest version first."""
        for versions in self._entries.values():
            yield from versions.values()

    @property
    def names(self) -> list[str]:
        """The packages' names, whatever became of them."""
        return list(self._entries)

    def versions(self, name: str) -> dict[int, Entry]:
        """Return a package's versions; ``ModelNotFound`` names those there are."""
        if name not in self._entries:
            raise ModelNotFound(f"model {name!r} is not here; expected one of {sorted(self._entries)}")
        return self._entries[name]

    def get(self, task: Task, name: str, version: int | None = None) -> Model:
        """Return a model by name, at the highest version that opened or the one asked for.

        Raises ``ModelNotFound`` for an unknown name, version or task, ``ModelUnavailable`` for a refused package.
        """
        versions = self.versions(name)
        if version is not None and version not in versions:
            raise ModelNotFound(f"version {version} of model {name!r} is not here; expected one of {sorted(versions)}")
        wanted = versions if version is None else {version: versions[version]}
        opened = [entry for entry in wanted.values() if isinstance(entry, Model)]
        if not opened:
            raise ModelUnavailable(f"model {name!r} was refused at start; GET /v1/models/{name} says why")
        model = opened[-1]
        if model.manifest.task != task:
            raise ModelNotFound(f"model {name!r} is for {model.manifest.task}; expected a model for {task}")
        return model

    def default(self, task: Task, language: str) -> Model | None:
        """Return the model that answers for a language where none is named, ``None`` where no package serves it.

        The package called ``<task>-<language>`` comes first, then the others by name; of each the highest version.
        """
        return self._defaults.get((task, language))

    def languages(self, task: Task) -> list[str]:
        """Return the languages that some ready model of the task serves."""
        return sorted(
            {code for model in self.ready if model.manifest.task == task for code in model.manifest.languages}
        )

    def _open(self, package: Package) -> Entry:
        try:
            return self._open_package(package)
        except PackageError as refused:
            return Refused(package.name, package.version, str(refused))


def _defaults(models: list[Model]) -> dict[tuple[Task, str], Model]:
    chosen: dict[tuple[Task, str], Model] = {}
    for model in sorted(models, key=lambda model: (model.package.name, -model.package.version)):
        task = model.manifest.task
        for language in model.manifest.languages:
            first = chosen.setdefault((task, language), model)
            if model.package.name == f"{task}-{language}" != first.package.name:
                chosen[task, language] = model
    return chosen
