"""Opens a package as what its task makes it: one that classifies, quotes, writes or turns numbers to numbers."""

from app.modelpack.store import Package
from app.runtime.classifier import Classifier
from app.runtime.extractor import Extractor
from app.runtime.model import Model
from app.runtime.providers import Provider
from app.runtime.summarizer import Summarizer
from app.runtime.tensors import TensorModel


def open_model(package: Package, provider: Provider, precision: str = "auto") -> Model:
    """Open a verified package and warm it up; ``PackageError`` where its parts do not fit together."""
    match package.manifest.task:
        case "extract":
            return Extractor.open(package, provider, precision)
        case "summarize":
            return Summarizer.open(package, provider, precision)
        case "tensor":
            return TensorModel.open(package, provider, precision)
        case _:
            return Classifier.open(package, provider, precision)
