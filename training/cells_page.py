"""What docs/cells.md shows of a run: one sentence through each cell step by step, and how far gradients reach."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from training import gradient_flow
from training.models.cells import Affine, Cell, GRUCell, LSTMCell, RNNCell

# "I am painting a picture": the same character first as the verb and then as what is painted.
SENTENCE = ("我", "在", "画", "画")
SEED = 0
INPUT, HIDDEN = 2, 2


class Step(NamedTuple):
    """One step of a cell: its token, the vectors float[1, .] by letter, and the state float[1, H] before it."""

    token: str
    x: Tensor
    before: Tensor
    values: dict[str, Tensor]


class Shown(NamedTuple):
    """A cell of the page, and the one quantity of it that is worked out by hand."""

    title: str
    cell: Cell
    letter: str
    affine: str
    squash: str


def write(out: Path, say: Callable[[str], None]) -> None:
    """Say the walk-through and the table of norms; write gradients.csv and gradients.png below `out`."""
    say(walk_through())
    norms = gradient_flow.measure()
    say("\n" + gradient_flow.table(norms))
    out.mkdir(parents=True, exist_ok=True)
    gradient_flow.write_csv(norms, out / "gradients.csv")
    gradient_flow.draw(norms, out / "gradients.png")


def walk_through() -> str:
    """Return the sentence's run through an RNN, an LSTM and a GRU of fixed random weights, as text."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        vectors = {token: torch.randn(1, INPUT, dtype=torch.float64) for token in dict.fromkeys(SENTENCE)}
        shown = (
            Shown("RNN", RNNCell(INPUT, HIDDEN), "h", "hidden", "tanh"),
            Shown("LSTM", LSTMCell(INPUT, HIDDEN), "f", "forget_gate", "sigmoid"),
            Shown("GRU", GRUCell(INPUT, HIDDEN), "z", "update_gate", "sigmoid"),
        )
        return "\n\n".join(_section(one, vectors) for one in shown)


def trace(cell: Cell, vectors: dict[str, Tensor]) -> list[Step]:
    """Return each step of the sentence through a cell: the gates in the order of their equations, then the state."""
    steps: list[Step] = []
    state = cell.start(next(iter(vectors.values())))  # [1, H] each
    for token in SENTENCE:
        x, before = vectors[token], state[0]  # [1, E], [1, H]
        gates = cell.gates(x, before)._asdict() if isinstance(cell, LSTMCell | GRUCell) else {}
        state = cell.step(x, state)  # [1, H] each
        # The state's first part is h, which its equations reach last.
        parts = dict(reversed(list(zip("hc", state, strict=False))))
        steps.append(Step(token, x, before, gates | parts))
    return steps


def _section(shown: Shown, vectors: dict[str, Tensor]) -> str:
    steps = trace(shown.cell.double(), vectors)
    letters = ["x", *steps[0].values]
    width = max(len(_numbers(values)) for step in steps for values in step.values.values())
    lines = [shown.title, "t    " + "  ".join(letter.ljust(width) for letter in letters).rstrip()]
    for at, step in enumerate(steps, start=1):
        cells = [step.x, *step.values.values()]
        lines.append(f"{at} {step.token} " + "  ".join(_numbers(values).ljust(width) for values in cells).rstrip())
    return "\n".join([*lines, "", _by_hand(shown, len(steps), steps[-1])])


def _by_hand(shown: Shown, at: int, step: Step) -> str:
    """Return the first unit of one quantity with its weights and inputs written in."""
    affine: Affine = getattr(shown.cell, shown.affine)
    products = [
        f"({weight:+.3f})({value:+.3f})"
        for weights, values in ((affine.W[0], step.x[0]), (affine.U[0], step.before[0]))
        for weight, value in zip(weights.tolist(), values.tolist(), strict=True)
    ]
    found = step.values[shown.letter][0, 0]
    terms = " + ".join([*products, f"({affine.b[0]:+.3f})"])
    return f"first unit of {shown.letter} at t = {at}: {shown.squash}({terms}) = {found:+.3f}"


def _numbers(values: Tensor) -> str:
    return " ".join(f"{value:+.3f}" for value in values[0].tolist())
