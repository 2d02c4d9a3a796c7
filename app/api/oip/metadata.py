"""What a client of the protocol learns before it asks: the server, the packages, their inputs and outputs."""

from typing import Any

from app import __version__
from app.api.oip.signature import Port, Signature, signatures
from app.runtime.model import Model
from app.runtime.registry import Registry
from app.runtime.tensors import TensorModel

EXTENSIONS = ("binary_tensor_data", "model_repository", "statistics", "generate")
PLATFORM = "onnx_onnxv1"


def of_server() -> dict[str, Any]:
    """Return the server's name, version and extensions."""
    return {"name": "sluice", "version": __version__, "extensions": list(EXTENSIONS)}


def of_model(registry: Registry, model: Model) -> dict[str, Any]:
    """Return a package's versions that answer, its inputs and outputs, and what else its manifest says of them."""
    known = signatures(model)
    ready = [str(number) for number, entry in registry.versions(model.name).items() if isinstance(entry, Model)]
    return {
        "name": model.name,
        "versions": ready,
        "platform": PLATFORM,
        "inputs": _ports([(one, port) for one in known for port in one.inputs]),
        "outputs": _ports([(one, port) for one in known for port in one.outputs]),
        "parameters": _parameters(model, known),
    }


def index(registry: Registry, *, ready_alone: bool) -> list[dict[str, str]]:
    """Return every version of every package, those that were refused with the reason."""
    return [
        _entry(name, number, "" if isinstance(entry, Model) else entry.reason)
        for name in registry.names
        for number, entry in sorted(registry.versions(name).items())
        if isinstance(entry, Model) or not ready_alone
    ]


def _entry(name: str, number: int, reason: str) -> dict[str, str]:
    return {"name": name, "version": str(number), "state": "UNAVAILABLE" if reason else "READY", "reason": reason}


def _ports(found: list[tuple[Signature, Port]]) -> list[dict[str, Any]]:
    return [
        {
            "name": port.name,
            "datatype": port.datatype,
            "shape": list(port.shape),
            "parameters": {"signature": signature.name, "optional": port.optional},
        }
        for signature, port in found
    ]


def _parameters(model: Model, known: tuple[Signature, ...]) -> dict[str, Any]:
    manifest = model.manifest
    names = {
        one.name: {
            "inputs": [port.name for port in one.inputs],
            "outputs": [port.name for port in one.outputs],
        }
        for one in known
    }
    told: dict[str, Any] = {"task": manifest.task, "description": manifest.description, "signatures": names}
    if isinstance(model, TensorModel):
        axes = {one.name: one.axes for one in (*model.inputs, *model.outputs)}
        return told | {"batched": model.tensors.batched, "axes": axes}
    told |= {"languages": manifest.languages, "max_tokens": manifest.limits.max_tokens}
    told |= {"vocab_size": manifest.tokenizer.vocab_size, "pad_id": manifest.tokenizer.pad_id}
    return told | ({"labels": manifest.labels} if manifest.labels else {})
