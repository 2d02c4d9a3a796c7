"""Opens a package as what its task makes it: one that classifies, quotes, writes or turns numbers to numbers."""

from app.errors import InferenceFailed, PackageError
from app.modelpack import manifest as schema
from app.modelpack.store import Package
from app.runtime.classifier import Classifier
from app.runtime.extractor import Extractor
from app.runtime.model import Model
from app.runtime.providers import Provider
from app.runtime.summarizer import Summarizer
from app.runtime.tensors import TensorModel

_MAX_CAUSE_CHARS = 300


def open_model(package: Package, provider: Provider, precision: str = "auto") -> Model:
    """Open a verified package and warm it up; ``PackageError`` where its parts do not fit together."""
    try:
        return _opened(package, provider, precision)
    except InferenceFailed as broken:  # a graph may open and yet not run
        cause = " ".join(str(broken.__cause__).split())[:_MAX_CAUSE_CHARS]
        raise PackageError(schema.FILE, f"a graph fails on its first run ({cause})", "graphs that run") from broken


def _opened(package: Package, provider: Provider, precision: str) -> Model:
    match package.manifest.task:
        case "extract":
            return Extractor.open(package, provider, precision)
        case "summarize":
            return Summarizer.open(package, provider, precision)
        case "tensor":
            return TensorModel.open(package, provider, precision)
        case _:
            return Classifier.open(package, provider, precision)
