r"""Recurrent cells written out from their equations, gate by gate: vanilla RNN, LSTM and GRU.

They are here to be read and to be measured; training uses torch's fused modules, which tests hold equal to these in
outputs and gradients. docs/cells.md tells them in words. Throughout, x is one token's vector, h the state that a cell
hands on and gives out, W what weighs x, U what weighs h, and b a bias.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


class Affine(nn.Module):
    """W x + U h + b, float[B, H]: what every gate and candidate is before its squashing."""

    def __init__(self, input_size: int, hidden_size: int, bias: float = 0.0) -> None:
        super().__init__()
        self.W = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden_size, input_size)))
        self.U = nn.Parameter(nn.init.orthogonal_(torch.empty(hidden_size, hidden_size)))
        self.b = nn.Parameter(torch.full((hidden_size,), float(bias)))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Return float[B, H] for x float[B, E] and h float[B, H]."""
        return x @ self.W.T + h @ self.U.T + self.b  # [B, H]


class Cell(nn.Module, ABC):
    """What a layer asks of a cell: a first state and the next one. A state's first part is h, float[B, H]."""

    # The gates' attributes in the order in which torch's fused module stacks their weights.
    stacked: ClassVar[tuple[str, ...]]
    fused: ClassVar[type[nn.RNNBase]]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    def start(self, like: Tensor) -> State:
        """Return the state before the first token, zeros, for as many rows as `like` float[B, ...] has."""
        return (like.new_zeros(like.shape[0], self.hidden_size),)  # [B, H]

    @abstractmethod
    def step(self, x: Tensor, state: State) -> State:
        """Return the state after x float[B, E]."""

    @classmethod
    def from_fused(cls, fused: nn.RNNBase, suffix: str = "_l0") -> Self:
        """Return a cell with a copy of one direction's weights of a fused module; `suffix` ends their names in it."""
        cell = cls(fused.input_size, fused.hidden_size).to(fused.all_weights[0][0])
        with torch.no_grad():
            cell.load(*(getattr(fused, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))
        return cell

    def load(self, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> None:
        """Copy torch's stacked weights; its two biases only ever occur as their sum."""
        parts = (values.chunk(len(self.stacked)) for values in (weight_ih, weight_hh, bias_ih + bias_hh))
        for name, w, u, b in zip(self.stacked, *parts, strict=True):
            affine: Affine = getattr(self, name)
            affine.W.copy_(w)
            affine.U.copy_(u)
            affine.b.copy_(b)


class RNNCell(Cell):
    r"""The vanilla RNN (Elman 1990, "Finding Structure in Time"), with tanh.

    .. math:: h_t = \tanh(W x_t + U h_{t-1} + b)
    """

    stacked = ("hidden",)
    fused = nn.RNN

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.hidden = Affine(input_size, hidden_size)

    def step(self, x: Tensor, state: State) -> State:
        """Return (h,) after x float[B, E] for the state (h,)."""
        (h,) = state  # [B, H]
        h = torch.tanh(self.hidden(x, h))  # [B, H]
        return (h,)


class LSTMGates(NamedTuple):
    """What an LSTM decides at one step, float[B, H] each: the gates in 0..1, the candidate g in -1..1."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor


class LSTMCell(Cell):
    r"""Long short-term memory (Hochreiter and Schmidhuber 1997), with the forget gate of Gers et al. 2000.

    .. math::
        i_t &= \sigma(W_i x_t + U_i h_{t-1} + b_i) \\
        f_t &= \sigma(W_f x_t + U_f h_{t-1} + b_f) \\
        g_t &= \tanh(W_g x_t + U_g h_{t-1} + b_g) \\
        o_t &= \sigma(W_o x_t + U_o h_{t-1} + b_o) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \tanh(c_t)

    The forget gate's bias starts at `forget_bias`: a new cell keeps more than it drops (Jozefowicz et al. 2015).
    """

    stacked = ("input_gate", "forget_gate", "candidate", "output_gate")
    fused = nn.LSTM

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size)
        self.input_gate = Affine(input_size, hidden_size)
        self.forget_gate = Affine(input_size, hidden_size, forget_bias)
        self.candidate = Affine(input_size, hidden_size)
        self.output_gate = Affine(input_size, hidden_size)

    def start(self, like: Tensor) -> State:
        """Return zeros for h and c."""
        return super().start(like) * 2  # [B, H], [B, H]

    def gates(self, x: Tensor, h: Tensor) -> LSTMGates:
        """Return the four decisions for x float[B, E] and h float[B, H]."""
        i = torch.sigmoid(self.input_gate(x, h))  # [B, H]
        f = torch.sigmoid(self.forget_gate(x, h))  # [B, H]
        g = torch.tanh(self.candidate(x, h))  # [B, H]
        o = torch.sigmoid(self.output_gate(x, h))  # [B, H]
        return LSTMGates(i, f, g, o)

    def step(self, x: Tensor, state: State) -> State:
        """Return (h, c) after x float[B, E] for the state (h, c)."""
        h, c = state  # [B, H], [B, H]
        i, f, g, o = self.gates(x, h)  # [B, H] each
        c = f * c + i * g  # [B, H]
        h = o * torch.tanh(c)  # [B, H]
        return h, c


class GRUGates(NamedTuple):
    """What a GRU decides at one step, float[B, H] each: reset and update in 0..1, the candidate n in -1..1."""

    r: Tensor
    z: Tensor
    n: Tensor


class GRUCell(Cell):
    r"""The gated recurrent unit (Cho et al. 2014), in the form that torch, ONNX and cuDNN share.

    .. math::
        r_t &= \sigma(W_r x_t + U_r h_{t-1} + b_r) \\
        z_t &= \sigma(W_z x_t + U_z h_{t-1} + b_z) \\
        n_t &= \tanh(W_n x_t + b_n + r_t \odot (U_n h_{t-1} + b'_n)) \\
        h_t &= z_t \odot h_{t-1} + (1 - z_t) \odot n_t

    The paper resets the state before it is multiplied, :math:`U_n (r_t \odot h_{t-1})`; this form does so after, which
    lets one product serve all three gates, and therefore has a second bias :math:`b'_n` inside the reset.
    """

    stacked = ("reset_gate", "update_gate", "candidate")
    fused = nn.GRU

    def __init__(self, input_size: int, hidden_size: int, update_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        self.reset_gate = Affine(input_size, hidden_size)
        self.update_gate = Affine(input_size, hidden_size, update_bias)
        self.candidate = Affine(input_size, hidden_size)
        self.reset_bias = nn.Parameter(torch.zeros(hidden_size))

    def gates(self, x: Tensor, h: Tensor) -> GRUGates:
        """Return the three decisions for x float[B, E] and h float[B, H]."""
        r = torch.sigmoid(self.reset_gate(x, h))  # [B, H]
        z = torch.sigmoid(self.update_gate(x, h))  # [B, H]
        past = h @ self.candidate.U.T + self.reset_bias  # [B, H]
        n = torch.tanh(x @ self.candidate.W.T + self.candidate.b + r * past)  # [B, H]
        return GRUGates(r, z, n)

    def step(self, x: Tensor, state: State) -> State:
        """Return (h,) after x float[B, E] for the state (h,)."""
        (h,) = state  # [B, H]
        _, z, n = self.gates(x, h)  # [B, H] each
        h = z * h + (1 - z) * n  # [B, H]
        return (h,)

    def load(self, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> None:
        """Copy torch's stacked weights; the candidate's two biases are the ones that are not simply added up."""
        super().load(weight_ih, weight_hh, bias_ih, bias_hh)
        self.candidate.b.copy_(bias_ih.chunk(3)[2])
        self.reset_bias.copy_(bias_hh.chunk(3)[2])


CELLS: tuple[type[Cell], ...] = (RNNCell, LSTMCell, GRUCell)


class RecurrentLayer(nn.Module):
    """A cell run over padded rows of mixed lengths, and a second one run over them from their ends."""

    def __init__(self, there: Cell, back: Cell | None = None) -> None:
        super().__init__()
        self.there = there
        self.back = back

    @classmethod
    def from_fused(cls, fused: nn.RNNBase) -> Self:
        """Return the equal of a one-layer nn.RNN (tanh), nn.LSTM or nn.GRU with biases, with a copy of its weights."""
        kind = next((cell for cell in CELLS if isinstance(fused, cell.fused)), None)
        if kind is None or fused.num_layers != 1 or not fused.bias or fused.proj_size or fused.mode == "RNN_RELU":
            raise ValueError(f"{fused}: expected one layer of RNN (tanh), LSTM or GRU, with biases and no projection")
        return cls(kind.from_fused(fused), kind.from_fused(fused, "_l0_reverse") if fused.bidirectional else None)

    def forward(self, inputs: Tensor, lens: Tensor) -> tuple[Tensor, State]:
        """Return h at each step and the state at each row's end, for inputs float[B, T, E] and lens int64[B].

        The first is float[B, T, D*H], zero beyond a row's end, D being 2 where there is a backward cell. The second is
        float[D, B, H] for each part of the cell's state; the backward cell's end is the row's first token.
        """
        length = inputs.shape[1]
        runs = [_run(self.there, inputs, lens, range(length))]
        if self.back is not None:
            runs.append(_run(self.back, inputs, lens, range(length - 1, -1, -1)))
        outputs, states = zip(*runs, strict=True)
        return torch.cat(outputs, dim=2), tuple(torch.stack(part) for part in zip(*states, strict=True))


def _run(cell: Cell, inputs: Tensor, lens: Tensor, order: range) -> tuple[Tensor, State]:
    """Return h float[B, T, H] and the last state of a cell that reads the steps in `order` and waits on padding."""
    state = cell.start(inputs)
    outputs = [state[0]] * len(order)
    # Unbound at once: the gradient of each slice of its own would be a tensor as large as the whole.
    tokens = inputs.unbind(dim=1)  # T times [B, E]
    for at in order:
        real = (at < lens).unsqueeze(1)  # [B, 1]
        after = cell.step(tokens[at], state)
        state = tuple(torch.where(real, new, old) for new, old in zip(after, state, strict=True))  # [B, H] each
        outputs[at] = state[0] * real  # [B, H]
    return torch.stack(outputs, dim=1), state  # [B, T, H]
