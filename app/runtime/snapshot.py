"""What is open at one moment. It never changes: a new one takes its place, and requests keep what they found."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from app.errors import AmbiguousModel, ModelNotFound, ModelUnavailable
from app.modelpack.manifest import TASKS, Task
from app.modelpack.store import Key, Refused
from app.runtime.changes import Plan
from app.runtime.model import Model
from app.runtime.traffic import LATEST, Alias, Shadow, Traffic, Version

Entry = Model | Refused


class Pick(NamedTuple):
    """The model that a request gets, and the alias that it was found by, if by one."""

    model: Model
    alias: str | None = None


class Candidate(NamedTuple):
    """A model that is tried beside the one that answers, and how much of its package's texts it gets."""

    model: Model
    shadow: Shadow


class Snapshot:
    """Packages by name and version, and how requests are shared out among the versions."""

    def __init__(
        self,
        entries: Mapping[Key, Entry] | None = None,
        traffic: Mapping[str, Traffic] | None = None,
        troubles: Mapping[Key, str] | None = None,
    ) -> None:
        """``troubles``: why what is on disk was refused, of versions that go on as they were opened before."""
        self._entries: dict[str, dict[int, Entry]] = {}
        for (name, version), entry in sorted((entries or {}).items(), key=lambda item: item[0]):
            self._entries.setdefault(name, {})[version] = entry
        self.traffic = dict(traffic or {})
        self.troubles = dict(troubles or {})
        self.ready = [entry for entry in self if isinstance(entry, Model)]
        self.refused = [entry for entry in self if isinstance(entry, Refused)]
        self.candidates = {
            model.name: Candidate(model, its.shadow)
            for model in self.ready
            if (its := self.traffic.get(model.name)) and its.shadow and its.shadow.version == model.package.version
        }
        """Of each package that has a shadow."""
        self._defaults = _defaults(self.ready)
        self._languages = {task: sorted(code for of, code in self._defaults if of == task) for task in TASKS}

    def __iter__(self) -> Iterator[Entry]:
        """Yield every entry by name, lowest version first."""
        for versions in self._entries.values():
            yield from versions.values()

    @property
    def entries(self) -> dict[Key, Entry]:
        """Every entry by its key."""
        return {(name, version): entry for name, found in self._entries.items() for version, entry in found.items()}

    @property
    def plan(self) -> Plan:
        """What another process has to open to serve the same."""
        states = {(entry.name, entry.version): entry for entry in self.refused}
        return Plan(
            opened={(model.name, model.package.version): model.package.digest for model in self.ready},
            refused={key: entry.reason for key, entry in states.items() if entry.state == "failed"},
            unloaded=frozenset(key for key, entry in states.items() if entry.state == "unloaded"),
            traffic=self.traffic,
        )

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

    def aliases(self, name: str) -> dict[str, Alias]:
        """Return a package's aliases, ``latest`` among them."""
        return {LATEST: Alias(None)} | dict(self.traffic[name].aliases if name in self.traffic else {})

    def pick(self, task: Task, name: str, version: Version | None = None, key: str = "") -> Pick:
        """Return a package's model by version, by alias or, where neither is given, as its traffic is shared out.

        Raises ``ModelNotFound`` for an unknown name, version, alias or task, ``ModelUnavailable`` for what is not open.
        """
        alias = None
        if version is None and name in self.traffic:
            version = self.traffic[name].alias_for(name, key)
        if isinstance(version, str):
            alias, version = version, self._version(name, version)
        model = self._model(name, version)
        if model.manifest.task != task:
            raise ModelNotFound(f"model {name!r} is for {model.manifest.task}; expected a model for {task}")
        return Pick(model, alias)

    def default(self, task: Task, language: str, key: str = "") -> Pick | None:
        """Return the model that answers for a language where none is named, ``None`` where no package serves it.

        It is the package called ``<task>-<language>``, and without such a one the only package there is, at its highest
        version or as its traffic is shared out. Among several ``AmbiguousModel`` names the choices: to guess would
        answer with other labels, or other figures, on the day that one more package is put beside them.
        """
        found = self._defaults.get((task, language))
        if found is not None and found.model.name not in self.traffic:
            return found
        if found is not None:
            return self.pick(task, found.model.name, None, key)
        if (task, language) in self._defaults:
            names = sorted({model.package.name for model in self.ready if _serves(model, task, language)})
            raise AmbiguousModel(f"{len(names)} packages for {task} serve {language!r}; expected a model among {names}")
        return None

    def default_for(self, name: str) -> list[str]:
        """Return the languages that a package answers for, among those of its task, without being named."""
        return [code for (_, code), found in self._defaults.items() if found is not None and found.model.name == name]

    def languages(self, task: Task) -> list[str]:
        """Return the languages that some ready model of the task serves."""
        return self._languages.get(task, [])

    def _version(self, name: str, alias: str) -> int | None:
        aliases = self.aliases(name)
        if alias not in aliases:
            self.versions(name)
            raise ModelNotFound(f"model {name!r} has no alias {alias!r}; expected one of {sorted(aliases)}")
        return aliases[alias].version

    def _model(self, name: str, version: int | None) -> Model:
        versions = self.versions(name)
        if version is not None and version not in versions:
            raise ModelNotFound(f"version {version} of model {name!r} is not here; expected one of {sorted(versions)}")
        wanted = versions if version is None else {version: versions[version]}
        opened = [entry for entry in wanted.values() if isinstance(entry, Model)]
        if not opened:
            raise ModelUnavailable(f"model {name!r} is not open; GET /v1/models/{name} says why")
        return opened[-1]


def _serves(model: Model, task: Task, language: str) -> bool:
    return model.manifest.task == task and language in model.manifest.languages


def _defaults(models: list[Model]) -> dict[tuple[Task, str], Pick | None]:
    """Return the default of each task and language that some package serves, ``None`` where that is ambiguous."""
    found: dict[tuple[Task, str], dict[str, Pick]] = {}
    for model in sorted(models, key=lambda model: model.package.version):
        for language in model.manifest.languages:
            found.setdefault((model.manifest.task, language), {})[model.name] = Pick(model)
    return {
        (task, language): by_name.get(f"{task}-{language}", next(iter(by_name.values())) if len(by_name) == 1 else None)
        for (task, language), by_name in found.items()
    }
