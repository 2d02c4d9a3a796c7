"""An LSTM with batch normalization inside the recurrence (Cooijmans et al. 2016, "Recurrent Batch Normalization").

For study: ONNX Runtime's LSTM node has no place for the normalizations, so a network with this layer is not exported.
"""

import torch
from torch import Tensor, nn

from training.models.masking import turn

# Larger gains push tanh into its flat parts at the start, where gradients vanish (section 4 of the paper).
INITIAL_GAIN = 0.1
# Share of the past that a batch replaces in the population statistics, as in torch's BatchNorm.
MOMENTUM = 0.1
EPSILON = 1e-5


class StepNorm(nn.Module):
    """Batch normalization with statistics of their own for each time step, over the rows that reach it.

    Gain and shift are shared by all steps. Steps from `max_steps` on are judged by the statistics of the last one kept,
    as are steps that no training batch reached. A step that only one row of a training batch reaches has no variance
    of its own: it takes the population's, and adds nothing to it.
    """

    mean: Tensor
    variance: Tensor
    support: Tensor

    def __init__(self, features: int, max_steps: int, *, shift: bool) -> None:
        super().__init__()
        if max_steps < 1:
            raise ValueError(f"max_steps = {max_steps}: expected at least 1")
        self.max_steps = max_steps
        self.gain = nn.Parameter(torch.full((features,), INITIAL_GAIN))
        self.shift = nn.Parameter(torch.zeros(features)) if shift else None
        self.register_buffer("mean", torch.zeros(max_steps, features))
        self.register_buffer("variance", torch.ones(max_steps, features))
        # Degrees of freedom behind each step's statistics, decayed as they are; zero where there are none.
        self.register_buffer("support", torch.zeros(max_steps))

    def forward(self, values: Tensor, mask: Tensor, first: int = 0) -> Tensor:
        """Return values float32[B, S, F] of the steps from `first` normalized over the real ones, mask bool[B, S]."""
        steps = torch.arange(first, first + values.shape[1], device=values.device)  # [S]
        mean, variance = self._population(steps)  # [S, F], [S, F]
        if self.training:
            rows = mask.sum(dim=0).to(values.dtype).unsqueeze(1)  # [S, 1]
            batch_mean, batch_variance = _statistics(values, mask, rows)  # [S, F], [S, F]
            self._learn(first, batch_mean.detach(), batch_variance.detach(), rows)
            mean = torch.where(rows > 1, batch_mean, mean)  # [S, F]
            variance = torch.where(rows > 1, batch_variance, variance)  # [S, F]
        normal = (values - mean) * torch.rsqrt(variance + EPSILON)  # [B, S, F]
        scaled = normal * self.gain  # [B, S, F]
        return scaled if self.shift is None else scaled + self.shift  # [B, S, F]

    def _population(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance float[S, F] for steps int64[S], each from the last known step up to it."""
        places = torch.arange(self.max_steps, device=steps.device)  # [M]
        known = torch.where(self.support > 0, places, 0).cummax(dim=0).values  # [M]
        slots = known[steps.clamp(max=self.max_steps - 1)]  # [S]
        return self.mean[slots], self.variance[slots]  # [S, F], [S, F]

    @torch.no_grad()
    def _learn(self, first: int, mean: Tensor, variance: Tensor, rows: Tensor) -> None:
        """Move the population towards a batch's statistics, each batch weighed by the rows that reached the step.

        Late steps have few rows and few batches; a plain running average would be as sure of two rows as of fifty, and
        would keep its arbitrary first value for long.
        """
        slots = slice(first, min(first + len(mean), self.max_steps))
        kept = slice(max(0, self.max_steps - first))
        freedom = (rows[kept] - 1).clamp(min=0)  # [K, 1]
        before = self.support[slots].unsqueeze(1)  # [K, 1]
        weight = torch.where(freedom > 0, (1 - MOMENTUM) * before + freedom, before)  # [K, 1]
        rate = freedom / weight.clamp(min=1)  # [K, 1]
        unbiased = variance[kept] * rows[kept] / freedom.clamp(min=1)  # [K, F]
        self.support[slots] = weight.squeeze(1)
        self.mean[slots].lerp_(mean[kept], rate)
        self.variance[slots].lerp_(unbiased, rate)


class BatchNormLSTMCell(nn.Module):
    r"""One direction's LSTM, normalized in three places; gates stand as in torch: input, forget, candidate, output.

    .. math::
        (i, f, g, o) &= BN(W_h h_{t-1}; \gamma_h) + BN(W_x x_t; \gamma_x) + b \\
        c_t &= \sigma(f) c_{t-1} + \sigma(i) \tanh(g) \\
        h_t &= \sigma(o) \tanh(BN(c_t; \gamma_c, \beta_c))

    The two normalizations of the gates have no shift, which `b` would only repeat.
    """

    def __init__(self, input_size: int, hidden_size: int, max_steps: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size))
        self.norm_x = StepNorm(4 * hidden_size, max_steps, shift=False)
        self.norm_h = StepNorm(4 * hidden_size, max_steps, shift=False)
        self.norm_c = StepNorm(hidden_size, max_steps, shift=True)
        self._initialize()

    def read(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Return the inputs' part of the gates float32[B, T, 4H]; it needs no state, so that all steps go at once."""
        normal: Tensor = self.norm_x(nn.functional.linear(inputs, self.weight_ih), mask)  # [B, T, 4H]
        return normal + self.bias  # [B, T, 4H]

    def step(self, read: Tensor, state: tuple[Tensor, Tensor], mask: Tensor, at: int) -> tuple[Tensor, Tensor]:
        """Return the next h and c, float32[B, H] each, for read float32[B, 4H] and mask bool[B] of step `at`."""
        h, c = state  # [B, H], [B, H]
        gates = read + self._normal(self.norm_h, nn.functional.linear(h, self.weight_hh), mask, at)  # [B, 4H]
        i, f, g, o = gates.chunk(4, dim=1)  # [B, H] each
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # [B, H]
        h = o.sigmoid() * self._normal(self.norm_c, c, mask, at).tanh()  # [B, H]
        return h, c

    def forward(self, inputs: Tensor, lens: Tensor) -> Tensor:
        """Return h at each step, float32[B, T, H], zero beyond lens int64[B], for inputs float32[B, T, E]."""
        mask = torch.arange(inputs.shape[1], device=lens.device) < lens.unsqueeze(1)  # [B, T]
        read = self.read(inputs, mask)  # [B, T, 4H]
        h = c = inputs.new_zeros(inputs.shape[0], self.hidden_size)  # [B, H]
        states = []
        # Unbound at once: the gradient of each slice of its own would be a tensor as large as the whole.
        for at, now in enumerate(read.unbind(dim=1)):
            # Past a row's end its state runs on over padding; padding comes last, so that no token reads it.
            h, c = self.step(now, (h, c), mask[:, at], at)  # [B, H], [B, H]
            states.append(h)
        return torch.stack(states, dim=1).masked_fill(~mask.unsqueeze(2), 0.0)  # [B, T, H]

    @staticmethod
    def _normal(norm: nn.Module, values: Tensor, mask: Tensor, at: int) -> Tensor:
        normal: Tensor = norm(values.unsqueeze(1), mask.unsqueeze(1), at)  # [B, 1, F]
        return normal.squeeze(1)  # [B, F]

    def _initialize(self) -> None:
        for gate in self.weight_hh.data.chunk(4):
            nn.init.orthogonal_(gate)
        nn.init.xavier_uniform_(self.weight_ih)
        # An open forget gate at the start: Jozefowicz et al. 2015.
        nn.init.ones_(self.bias.data[self.hidden_size : 2 * self.hidden_size])


class BatchNormLSTM(nn.Module):
    """States float32[B, T, D*H] of inputs float32[B, T, E] and lens int64[B], D being 2 when bidirectional.

    Each direction counts its steps from where it starts reading, so that the backward one keeps the statistics of rows
    turned round within their own lengths. Padding enters no statistic and changes no state; states beyond a row's end
    are zero. In training a row's states depend on the batch it is in, as with every batch normalization; after `eval()`
    they do not.
    """

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool, max_steps: int) -> None:  # noqa: FBT001 - as nn.LSTM
        super().__init__()
        self.there = BatchNormLSTMCell(input_size, hidden_size, max_steps)
        self.back = BatchNormLSTMCell(input_size, hidden_size, max_steps) if bidirectional else None

    def forward(self, inputs: Tensor, lens: Tensor) -> Tensor:
        """Return float32[B, T, D*H]."""
        there: Tensor = self.there(inputs, lens)  # [B, T, H]
        if self.back is None:
            return there
        back = turn(self.back(turn(inputs, lens), lens), lens)  # [B, T, H]
        return torch.cat([there, back], dim=2)  # [B, T, 2H]


def _statistics(values: Tensor, mask: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance float[S, F] of values float[B, S, F], rows float[S, 1] of them real in a step."""
    padding = ~mask.unsqueeze(2)  # [B, S, 1]
    counted = rows.clamp(min=1)  # [S, 1]
    mean = values.masked_fill(padding, 0.0).sum(dim=0) / counted  # [S, F]
    variance = (values - mean).masked_fill(padding, 0.0).square().sum(dim=0) / counted  # [S, F]
    return mean, variance
