"""The packages of this process: opened ones answer, refused ones are listed with their reason.

What is open is a snapshot. A change is prepared beside it, which takes as long as opening and warming up take, and then
takes its place in one step. Whoever found a model in the snapshot before finishes on that model, and the model goes
when the last of them is done.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.errors import ChangeRefused, ModelNotFound, PackageError
from app.modelpack.manifest import CLASSIFYING, Task
from app.modelpack.store import Key, Package, Refused, Wanted, folder_of, open_package, survey
from app.runtime.changes import Change, Load, Outcome, Plan, Reload, SetAliases, SetShadow, Unload
from app.runtime.early import Opening
from app.runtime.model import Model
from app.runtime.snapshot import Entry, Pick, Snapshot
from app.runtime.traffic import LATEST, Alias, Shadow, Traffic, Version

UNLOADED = "an operator has unloaded it"
_GONE = "its folder is gone, and stays open because of what names it: {}"
_CHANGED = "manifest.json: not the one that the other processes have opened; expected it unchanged, or a reload of all"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that is ready to take place."""

    snapshot: Snapshot
    outcome: Outcome
    ended: Mapping[str, str] = field(default_factory=dict)
    """Why shadows end with it, by package."""


@dataclass(slots=True)
class _Draft:
    """The next snapshot while it is put together, and what makes it differ from the present one."""

    entries: dict[Key, Entry]
    traffic: dict[str, Traffic]
    troubles: dict[Key, str]
    loaded: list[Key] = field(default_factory=list)
    unloaded: list[Key] = field(default_factory=list)
    refused: dict[Key, str] = field(default_factory=dict)

    def prepared(self) -> Prepared:
        outcome = Outcome(tuple(self.loaded), tuple(self.unloaded), self.refused)
        traffic, ended = _without_idle_shadows(self.entries, self.traffic)
        return Prepared(Snapshot(self.entries, traffic, self.troubles), outcome, ended)


class Registry:
    """The present snapshot, and how the next one comes about."""

    def __init__(
        self,
        root: Path,
        open_package: Callable[[Package], Model],
        traffic: Mapping[str, Traffic] | None = None,
        wanted: Wanted = lambda _: (),
    ) -> None:
        """``open_package`` opens a verified package, on the provider and at the precision of the caller's choice.

        ``traffic``: how requests are shared out at the start; ``wanted``: the files that ``open_package`` reads.
        """
        self._root = root
        self._open_package = open_package
        self._wanted = wanted
        self._first_traffic = dict(traffic or {})
        self._early: Opening | None = None
        self.now = Snapshot()

    def open_early(self, warm: Callable[[Model], None] = lambda _: None) -> Opening:
        """Begin to open every package below the root, for the first ``prepare_all`` to find them open.

        ``warm`` is called with each model, in the thread that has opened it.
        """

        def opened(key: Key, digest: str | None) -> Entry:
            entry = self._opened(key, digest)
            if isinstance(entry, Model):
                warm(entry)
            return entry

        self._early = Opening(opened, dict.fromkeys(survey(self._root)))
        return self._early

    def join_early(self) -> None:
        """Return once no thread is left that opens packages early."""
        if self._early is not None:
            self._early.join()

    def open_all(self, plan: Plan | None = None) -> None:
        """Open every package below the root, or what ``plan`` says; a broken one hinders no other."""
        self.commit(self.prepare_all(plan))

    def prepare_all(self, plan: Plan | None = None) -> Prepared:
        """Open what ``open_all`` does, without putting it in place."""
        entries = self._all_opened(dict.fromkeys(survey(self._root)) if plan is None else plan.opened)
        plan = plan or Plan(traffic=self._first_traffic)
        entries |= {key: Refused(*key, reason) for key, reason in plan.refused.items()}
        entries |= {key: Refused(*key, UNLOADED, "unloaded") for key in plan.unloaded}
        traffic, ended = _without_idle_shadows(entries, plan.traffic)
        return Prepared(Snapshot(entries, traffic), Outcome(), ended)

    def prepare(self, change: Change) -> Prepared:
        """Make ready what ``change`` asks for: open, verify and warm up, beside what serves.

        Raises ``ModelNotFound`` for what is not there and ``ChangeRefused`` for what cannot be; nothing changes then.
        """
        now = self.now
        draft = _Draft(now.entries, dict(now.traffic), dict(now.troubles))
        match change:
            case Load(name, version):
                self._load(draft, name, version)
            case Unload(name, version):
                self._unload(draft, name, version)
            case Reload(name):
                self._reload(draft, name)
            case SetAliases(name, aliases):
                self._check_aliases(name, aliases)
                draft.traffic[name] = replace(self._traffic(name), aliases=dict(aliases))
            case SetShadow(name, shadow):
                self._check_shadow(name, shadow)
                draft.traffic[name] = replace(self._traffic(name), shadow=shadow)
        return draft.prepared()

    def commit(self, prepared: Prepared) -> None:
        """Let a prepared change take place, in one step."""
        self.now = prepared.snapshot

    @property
    def ready(self) -> list[Model]:
        """The models that answer."""
        return self.now.ready

    @property
    def failed(self) -> list[Refused]:
        """The packages that could not be opened."""
        return [entry for entry in self.now.refused if entry.state == "failed"]

    @property
    def names(self) -> list[str]:
        """The packages' names, whatever became of them."""
        return self.now.names

    def __iter__(self) -> Iterator[Entry]:
        """Yield every entry by name, lowest version first."""
        return iter(self.now)

    def versions(self, name: str) -> dict[int, Entry]:
        """Return what ``Snapshot.versions`` does, of now."""
        return self.now.versions(name)

    def task_of(self, name: str) -> Task | None:
        """Return what ``Snapshot.task_of`` does, of now."""
        return self.now.task_of(name)

    def pick(self, task: Task, name: str, version: Version | None = None, key: str = "") -> Pick:
        """Return what ``Snapshot.pick`` does, of now."""
        return self.now.pick(task, name, version, key)

    def get(self, task: Task, name: str, version: Version | None = None) -> Model:
        """Return the model of ``pick``."""
        return self.now.pick(task, name, version).model

    def default(self, task: Task, language: str, key: str = "") -> Pick | None:
        """Return what ``Snapshot.default`` does, of now."""
        return self.now.default(task, language, key)

    def default_for(self, name: str) -> list[str]:
        """Return what ``Snapshot.default_for`` does, of now."""
        return self.now.default_for(name)

    def languages(self, task: Task) -> list[str]:
        """Return what ``Snapshot.languages`` does, of now."""
        return self.now.languages(task)

    def _all_opened(self, wanted: Mapping[Key, str | None]) -> dict[Key, Entry]:
        """Open packages side by side, but for those that were opened early."""
        early, self._early = self._early, None
        found = early.those(wanted) if early is not None else {}
        late = Opening(self._opened, {key: digest for key, digest in wanted.items() if key not in found})
        return {key: found[key] if key in found else late[key] for key in wanted}

    def _opened(self, key: Key, digest: str | None = None) -> Entry:
        try:
            package = open_package(folder_of(self._root, key), self._wanted)
            if digest not in {None, package.digest}:
                return Refused(*key, _CHANGED)
            try:
                return self._open_package(package)
            finally:
                package.let_go()
        except PackageError as refused:
            return Refused(*key, str(refused))

    def _survey(self, name: str | None) -> dict[Key, str]:
        try:
            return survey(self._root, name)
        except OSError as broken:
            raise ChangeRefused(
                f"the models folder cannot be read ({broken.strerror}); expected the folder of SLUICE_MODELS_DIR"
            ) from broken

    def _load(self, draft: _Draft, name: str, version: int | None) -> None:
        found = [key for key in self._survey(name) if version in {None, key[1]}]
        if not found:
            wanted = f"{name!r}" if version is None else f"version {version} of {name!r}"
            raise ModelNotFound(f"{wanted} is not in the models folder; expected a folder models/name/version")
        for key in found:
            entry = self._opened(key)
            if isinstance(entry, Refused):
                raise ChangeRefused(f"{_shown(key)} was refused, and what served before serves on: {entry.reason}")
            draft.entries[key] = entry
            draft.troubles.pop(key, None)
            draft.loaded.append(key)

    def _unload(self, draft: _Draft, name: str, version: int | None) -> None:
        versions = self.versions(name)
        if version is not None and version not in versions:
            raise ModelNotFound(f"version {version} of model {name!r} is not here; expected one of {sorted(versions)}")
        for key in [(name, each) for each in versions if version in {None, each}]:
            named = self._traffic(name).names(key[1])
            if named:
                raise ChangeRefused(
                    f"{_shown(key)} is named by {', '.join(named)}; expected none to name it: move first"
                )
            draft.entries[key] = Refused(*key, UNLOADED, "unloaded")
            draft.troubles.pop(key, None)
            draft.unloaded.append(key)

    def _reload(self, draft: _Draft, name: str | None) -> None:
        if not self._root.is_dir():
            raise ChangeRefused("the models folder is not there; expected the folder of SLUICE_MODELS_DIR")
        found = self._survey(name)
        known = [key for key in draft.entries if name in {None, key[0]}]
        if name is not None and not found and not known:
            raise ModelNotFound(f"model {name!r} is not here; expected one of {sorted(self.names)}")
        for key, digest in found.items():
            self._renew(draft, key, digest)
        for key in known:
            if key not in found:
                self._forget(draft, key)
        for gone in draft.traffic.keys() - {key[0] for key in draft.entries}:
            del draft.traffic[gone]
        if self.ready and not any(isinstance(entry, Model) for entry in draft.entries.values()):
            raise ChangeRefused(
                "no package of the models folder can be opened; expected one at least, or an unload of each"
            )

    def _renew(self, draft: _Draft, key: Key, digest: str) -> None:
        """Open a package that is on disk, unless it is open as it stands there, or an operator has closed it."""
        have = draft.entries.get(key)
        if isinstance(have, Refused) and have.state == "unloaded":
            return
        draft.troubles.pop(key, None)
        if isinstance(have, Model) and have.package.digest == digest:
            return
        entry = self._opened(key)
        if isinstance(entry, Model):
            draft.loaded.append(key)
        else:
            draft.refused[key] = entry.reason
            if isinstance(have, Model):
                draft.troubles[key] = entry.reason
                return
        draft.entries[key] = entry

    def _forget(self, draft: _Draft, key: Key) -> None:
        """Close a package that is no longer on disk, unless traffic is sent to it by name."""
        named = self._traffic(key[0]).names(key[1])
        if isinstance(draft.entries[key], Model):
            if named:
                draft.refused[key] = draft.troubles[key] = _GONE.format(", ".join(named))
                return
            draft.unloaded.append(key)
        del draft.entries[key]
        draft.troubles.pop(key, None)

    def _traffic(self, name: str) -> Traffic:
        return self.now.traffic.get(name, Traffic())

    def _check_shadow(self, name: str, shadow: Shadow | None) -> None:
        self.versions(name)
        if shadow is not None and (why := _unfit(self.now.entries, name, shadow)):
            raise ChangeRefused(f"no shadow: {why}")

    def _check_aliases(self, name: str, aliases: Mapping[str, Alias]) -> None:
        versions = self.versions(name)
        for alias, its in aliases.items():
            if (its.version is None) != (alias == LATEST):
                expected = "no version: it is the highest" if alias == LATEST else "a version"
                raise ChangeRefused(f"alias {alias!r} names version {its.version}; expected {expected}")
            if its.version is not None and not isinstance(versions.get(its.version), Model):
                opened = sorted(number for number, entry in versions.items() if isinstance(entry, Model))
                raise ChangeRefused(f"alias {alias!r} names version {its.version}, not open; expected one of {opened}")


def _without_idle_shadows(
    entries: Mapping[Key, Entry], traffic: Mapping[str, Traffic]
) -> tuple[dict[str, Traffic], dict[str, str]]:
    """Return the traffic without shadows whose candidate cannot answer, and why of each."""
    kept, ended = dict(traffic), {}
    for name, its in traffic.items():
        if its.shadow is not None and (why := _unfit(entries, name, its.shadow)):
            kept[name], ended[name] = replace(its, shadow=None), why
    return kept, ended


def _unfit(entries: Mapping[Key, Entry], name: str, shadow: Shadow) -> str | None:
    """Return why a version cannot be a package's candidate, ``None`` where it can."""
    entry = entries.get((name, shadow.version))
    if not isinstance(entry, Model):
        opened = sorted(key[1] for key, other in entries.items() if key[0] == name and isinstance(other, Model))
        return f"version {shadow.version} of model {name!r} is not open; expected one of {opened}"
    if entry.manifest.task not in CLASSIFYING:
        return (
            f"model {name!r} is for {entry.manifest.task}; expected one that classifies: its labels are compared, and "
            "two summaries of a text are seldom the same"
        )
    return None


def _shown(key: Key) -> str:
    return f"{key[0]}/{key[1]}"
