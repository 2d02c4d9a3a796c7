"""An opened package, whatever its task: its manifest and where its graphs run; and one that reads text."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property, partial

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.manifest import Graph, Manifest, Role
from app.modelpack.store import Package
from app.modelpack.tokenizer import TextTokenizer
from app.runtime.providers import Provider
from app.runtime.session import Session


@dataclass(frozen=True, eq=False)
class Model(ABC):
    """A package that answers."""

    package: Package
    provider: Provider

    @cached_property
    def manifest(self) -> Manifest:
        """What the package says of itself."""
        return self.package.manifest

    @cached_property
    def name(self) -> str:
        """The package's name, for answers and metrics."""
        return self.package.name

    @cached_property
    def version(self) -> str:
        """The package's version as a label."""
        return str(self.package.version)

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Its opened graphs, in the order in which they run."""
        return tuple(part for each in fields(self) if isinstance(part := getattr(self, each.name), Session))

    @property
    def precision(self) -> str:
        """The precision of its graphs; where they differ, each, in the order in which they run: ``int8/fp32``."""
        return "/".join(dict.fromkeys(session.precision for session in self.sessions))

    @abstractmethod
    def warm_up(self) -> None:
        """Run its graphs over a few lengths; ``PackageError`` where an answer is not of the form it must have."""


@dataclass(frozen=True, eq=False)
class TextModel(Model):
    """A package that reads text."""

    tokenizer: TextTokenizer


def open_session(package: Package, provider: Provider, precision: str, role: Role = "model") -> Session:
    """Open a package's graph of ``role``; ``PackageError`` where there is none that fits, or it cannot be opened.

    Precision ``auto`` is the best that the provider runs and the package has.
    """
    graph = _graph(package.manifest, provider, precision, role)
    read = partial(package.graph_bytes, graph)
    return Session(graph, read(), provider, read=read)


def files_to_open(manifest: Manifest, provider: Provider, precision: str = "auto") -> set[str]:
    """Name what opening a package reads: its tokenizer, and of each role the graph that will run."""
    chosen = [
        _chosen(manifest, provider, precision, role) or _chosen(manifest, provider, "auto", role)
        for role in {graph.role for graph in manifest.graphs}
    ]
    tokenizer = [manifest.its_tokenizer] if manifest.its_tokenizer is not None else []
    return {part.file for part in (*tokenizer, *chosen) if part is not None}


def _graph(manifest: Manifest, provider: Provider, precision: str, role: Role) -> Graph:
    graph = _chosen(manifest, provider, precision, role)
    if graph is not None:
        return graph
    wanted_text = " or ".join(provider.precisions) if precision == "auto" else precision
    have = ", ".join(graph.precision for graph in manifest.graphs if graph.role == role)
    which = "graphs" if role == "model" else f"graphs of role {role}"
    raise PackageError(schema.FILE, f"{which} of precision {have}", f"{wanted_text} for the provider {provider.device}")


def _chosen(manifest: Manifest, provider: Provider, precision: str, role: Role) -> Graph | None:
    for wanted in provider.precisions:
        graph = manifest.graph(wanted, role)
        if graph is not None and precision in {"auto", wanted}:
            return graph
    return None
