"""Where a graph's nodes run: a recurrent layer that falls back to the CPU unasked is an error, by name.

ONNX Runtime places a node that a provider has no kernel for on the CPU and says nothing. That is as it should be for
the arithmetic of shapes; of the layer that is nearly all of the cost it would be a service that is slow for no reason.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from app.errors import PackageError

RECORD = "session.record_ep_graph_assignment_info"
"""The option under which a session can tell where its nodes run."""

RECURRENT = ("LSTM", "GRU", "RNN")

Placed = Mapping[str, frozenset[str]]
"""The providers that run a kind of node."""


def placed(session: Any) -> Placed:
    """Return where the nodes of a session run, which was opened with the option ``RECORD``."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for part in session.get_provider_graph_assignment_info():
        for node in part.get_nodes():
            found[node.op_type].add(part.ep_name)
    return {kind: frozenset(providers) for kind, providers in found.items()}


def refuse_fallback(file: str, where: Placed, provider: str) -> None:
    """Raise ``PackageError`` where a recurrent node runs elsewhere than on ``provider``."""
    for kind in RECURRENT:
        elsewhere = sorted(where.get(kind, frozenset()) - {provider})
        if elsewhere:
            raise PackageError(file, f"its {kind} runs on {', '.join(elsewhere)}", f"{provider}, which was chosen")
