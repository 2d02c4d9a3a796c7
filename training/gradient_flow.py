"""How far a gradient reaches back through time: the norm of dL/dh_t against the distance from the loss, for each cell.

The question is that of Bengio et al. 1994 ("Learning Long-Term Dependencies with Gradient Descent is Difficult") and
Pascanu et al. 2013 ("On the difficulty of training recurrent neural networks"), asked of cells as they are made, before
any training, where only the recurrent scale or the bias of the gate that keeps differs.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from training.models.cells import Cell, GRUCell, LSTMCell, RNNCell

SEED = 0
# The state at distance STEPS - 1 from the loss is the first token's.
STEPS = 101
ROWS, INPUT, HIDDEN = 32, 16, 64


@dataclass(frozen=True)
class Case:
    """One line of the plot: a cell, how it is made, and how it is drawn."""

    name: str
    make: Callable[[], Cell]
    color: str
    style: Literal["-", "--", ":"]


def _rnn(scale: float) -> Cell:
    cell = RNNCell(INPUT, HIDDEN)
    with torch.no_grad():
        cell.hidden.U.mul_(scale)
    return cell


CASES = (
    Case("RNN, U of norm 1", lambda: _rnn(1.0), "tab:red", "-"),
    Case("RNN, U of norm 2", lambda: _rnn(2.0), "tab:red", "--"),
    Case("LSTM, forget bias 0", lambda: LSTMCell(INPUT, HIDDEN, 0.0), "tab:blue", ":"),
    Case("LSTM, forget bias 1", lambda: LSTMCell(INPUT, HIDDEN, 1.0), "tab:blue", "-"),
    Case("LSTM, forget bias 3", lambda: LSTMCell(INPUT, HIDDEN, 3.0), "tab:blue", "--"),
    Case("GRU, update bias 0", lambda: GRUCell(INPUT, HIDDEN, 0.0), "tab:green", ":"),
    Case("GRU, update bias 1", lambda: GRUCell(INPUT, HIDDEN, 1.0), "tab:green", "-"),
    Case("GRU, update bias 3", lambda: GRUCell(INPUT, HIDDEN, 3.0), "tab:green", "--"),
)


def reach(cell: Cell) -> NDArray[np.float64]:
    """Return float64[STEPS], the norm of dL/dh_t at each distance from the end, geometric mean over rows.

    L is the last h along a random direction of length 1, a row's own, so that the norm at distance 0 is 1. Inputs are
    standard normal. float64: an exploding case multiplies rounding errors as it does gradients.
    """
    cell = cell.double()
    generator = torch.Generator().manual_seed(SEED)
    inputs = torch.randn(ROWS, STEPS, INPUT, generator=generator, dtype=torch.float64)  # [B, T, E]
    direction = torch.randn(ROWS, HIDDEN, generator=generator, dtype=torch.float64)  # [B, H]
    state, states = cell.start(inputs), []
    for x in inputs.unbind(dim=1):
        state = cell.step(x, state)
        states.append(state[0])  # [B, H]
    loss = (states[-1] * nn.functional.normalize(direction, dim=1)).sum()
    gradients: tuple[Tensor, ...] = torch.autograd.grad(loss, states)  # [B, H] each
    norms = torch.stack(gradients).norm(dim=2).log().mean(dim=1).exp()  # [T]
    found: NDArray[np.float64] = norms.flip(0).numpy()
    return found


def measure(cases: tuple[Case, ...] = CASES) -> dict[str, NDArray[np.float64]]:
    """Return each case's `reach`; every cell is made from the same seed."""
    found = {}
    for case in cases:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            found[case.name] = reach(case.make())
    return found


def table(norms: dict[str, NDArray[np.float64]], distances: tuple[int, ...] = (0, 1, 10, 20, 50, 100)) -> str:
    """Return a Markdown table of the norms at some distances, and of the mean factor a step from 10 to the last one."""
    lines = [
        "| cell | " + " | ".join(str(distance) for distance in distances) + " | factor a step |",
        "|---|" + "---:|" * (len(distances) + 1),
    ]
    for name, found in norms.items():
        factor = (found[-1] / found[10]) ** (1 / (len(found) - 11))
        figures = [f"{found[distance]:.1e}" for distance in distances]
        lines.append(f"| {name} | {' | '.join(figures)} | {factor:.2f} |")
    return "\n".join(lines)


def write_csv(norms: dict[str, NDArray[np.float64]], path: Path) -> None:
    """Write every norm to five digits, one row a distance."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["distance", *norms])
        for distance, row in enumerate(zip(*norms.values(), strict=True)):
            lines.writerow([distance, *(f"{norm:.4e}" for norm in row)])


def draw(norms: dict[str, NDArray[np.float64]], path: Path) -> None:
    """Draw the norms against distance on a logarithmic axis, the loss at the left."""
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.axhline(1.0, color="0.8", linewidth=0.8)
    for case in CASES:
        axis.semilogy(norms[case.name], color=case.color, linestyle=case.style, label=case.name, linewidth=1.6)
    axis.set(
        xlabel="distance from the loss, steps",
        ylabel="norm of dL/dh",
        title=f"Untrained cells, {HIDDEN} units, {ROWS} rows of noise",
        xlim=(0, STEPS - 1),
    )
    axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    # Without the library's version in it, the same library writes the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
