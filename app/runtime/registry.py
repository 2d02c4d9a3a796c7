"""The packages of this process: opened ones answer, refused ones are listed with their reason."""

from collections.abc import Callable, Iterator
from pathlib import Path

from app.errors import AmbiguousModel, ModelNotFound, ModelUnavailable, PackageError
from app.modelpack.manifest import TASKS, Task
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
        self._defaults: dict[tuple[Task, str], Model | None] = {}
        self._languages: dict[Task, list[str]] = {}
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
        self._languages = {task: sorted(code for of, code in self._defaults if of == task) for task in TASKS}

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

    def task_of(self, name: str) -> Task | None:
        """Return the task of a package, ``None`` where it was refused; ``ModelNotFound`` where there is none."""
        opened = [entry for entry in self.versions(name).values() if isinstance(entry, Model)]
        return opened[-1].manifest.task if opened else None

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

        It is the package called ``<task>-<language>``, and without such a one the only package there is, at its highest
        version. Among several ``AmbiguousModel`` names the choices: to guess would answer with other labels, or other
        figures, on the day that one more package is put beside them.
        """
        found = self._defaults.get((task, language))
        if found is None and (task, language) in self._defaults:
            names = sorted({model.package.name for model in self.ready if _serves(model, task, language)})
            raise AmbiguousModel(f"{len(names)} packages for {task} serve {language!r}; expected a model among {names}")
        return found

    def default_for(self, name: str) -> list[str]:
        """Return the languages that a package answers for, among those of its task, without being named."""
        return [code for (_, code), model in self._defaults.items() if model is not None and model.package.name == name]

    def languages(self, task: Task) -> list[str]:
        """Return the languages that some ready model of the task serves."""
        return self._languages.get(task, [])

    def _open(self, package: Package) -> Entry:
        try:
            return self._open_package(package)
        except PackageError as refused:
            return Refused(package.name, package.version, str(refused))


def _serves(model: Model, task: Task, language: str) -> bool:
    return model.manifest.task == task and language in model.manifest.languages


def _defaults(models: list[Model]) -> dict[tuple[Task, str], Model | None]:
    """Return the default of each task and language that some package serves, ``None`` where that is ambiguous."""
    found: dict[tuple[Task, str], dict[str, Model]] = {}
    for model in sorted(models, key=lambda model: model.package.version):
        for language in model.manifest.languages:
            found.setdefault((model.manifest.task, language), {})[model.package.name] = model
    return {
        (task, language): by_name.get(f"{task}-{language}", next(iter(by_name.values())) if len(by_name) == 1 else None)
        for (task, language), by_name in found.items()
    }
