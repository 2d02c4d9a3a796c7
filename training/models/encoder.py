"""Layers of recurrent cells over a batch of rows of unequal length.

Training runs each direction as torch's fused one-way kernel over padded rows; export runs the same weights over packed
rows, which becomes one ONNX node a layer.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from training.models.config import Cell, ModelConfig
from training.models.dropout import LockedDropout
from training.models.masking import turn
from training.models.recurrent_batchnorm import BatchNormLSTM

FUSED: dict[Cell, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "rnn": 1}


# Steps with statistics of their own in recurrent batch normalization; later ones share the last step's.
NORM_STEPS = 256


class Encoder(nn.Module, ABC):
    """States float32[B, T, S], S being twice `hidden` where it reads both ways; padding changes none of them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = config.layers
        self.states = config.hidden * (2 if config.bidirectional else 1)
        self.layer_dropout = nn.Dropout(config.layer_dropout)
        self.locked_dropout = LockedDropout(config.locked_dropout)

    def forward(self, embedded: Tensor, lens: Tensor) -> Tensor:
        """Return float32[B, T, S] for embedded float32[B, T, E] and lens int64[B], zero beyond each row's end."""
        states = embedded  # [B, T, E]
        for layer in range(self.layers):
            if layer:
                states = self.layer_dropout(states)  # [B, T, S]
            states = self.locked_dropout(self.layer(states, lens, layer))  # [B, T, S]
        places = torch.arange(embedded.shape[1], device=lens.device)  # [T]
        return states * (places < lens.unsqueeze(1)).unsqueeze(2)  # [B, T, S]

    @abstractmethod
    def layer(self, values: Tensor, lens: Tensor, layer: int) -> Tensor:
        """Return one layer's outputs float32[B, T, S] for values float32[B, T, E or S]; any in the padding."""

    def initialize(self) -> None:
        """Draw the first weights."""


class BatchNormEncoder(Encoder):
    """LSTM layers with batch normalization inside the recurrence, for study: no ONNX node computes them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        sizes = [config.embedding] + [self.states] * (config.layers - 1)
        self.cells = nn.ModuleList(
            BatchNormLSTM(size, config.hidden, config.bidirectional, NORM_STEPS) for size in sizes
        )

    def layer(self, values: Tensor, lens: Tensor, layer: int) -> Tensor:
        """Return float32[B, T, S]."""
        # Its statistics are running averages, which half precision would lose.
        with torch.autocast(values.device.type, enabled=False):
            outputs: Tensor = self.cells[layer](values.float(), lens)  # [B, T, S]
        return outputs  # [B, T, S]


class FusedEncoder(Encoder):
    """Layers of torch's own cells, whose parameters keep torch's names under `cells`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.cell = config.cell
        self.cells = FUSED[config.cell](
            config.embedding,
            config.hidden,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        self.weight_dropout = config.weight_dropout

    def forward(self, embedded: Tensor, lens: Tensor) -> Tensor:
        """Return float32[B, T, S] for embedded float32[B, T, E] and lens int64[B], zero beyond each row's end."""
        if torch.onnx.is_in_onnx_export():
            return self.packed(embedded, lens)  # [B, T, S]
        return super().forward(embedded, lens)  # [B, T, S]

    def packed(self, embedded: Tensor, lens: Tensor) -> Tensor:
        """Return float32[B, T, S] by way of packed sequences: the form that exports, one node a layer.

        Torch wants the rows longest first; the exported node takes them in any order.
        """
        rows = pack_padded_sequence(embedded, lens.cpu(), batch_first=True)
        outputs, _ = self.cells(rows)
        states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.shape[1])
        return states  # [B, T, S]

    def layer(self, values: Tensor, lens: Tensor, layer: int) -> Tensor:
        """Return float32[B, T, S], each row turned round within its own length to be read backwards.

        Five times faster to train on a CPU than packed rows: over those, where lengths are unequal, torch leaves its
        fused kernel, and each step's gradient fills a tensor as large as the batch, while a plain one-way LSTM is one
        kernel. A row's padding comes after its last token both ways, so it changes nothing before it.
        """
        there = self._one_way(values, f"_l{layer}")  # [B, T, H]
        if not self.cells.bidirectional:
            return there  # [B, T, H]
        back = turn(self._one_way(turn(values, lens), f"_l{layer}_reverse"), lens)  # [B, T, H]
        return torch.cat([there, back], dim=2)  # [B, T, S]

    def initialize(self) -> None:
        """Draw the first weights: orthogonal from state to state, a gate at a time, Xavier's from input to state."""
        for name, weight in self.cells.named_parameters():
            if name.startswith("weight_hh"):
                for gate in weight.chunk(GATES[self.cell]):
                    nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(weight)
            else:
                nn.init.zeros_(weight)
                if self.cell == "lstm" and name.startswith("bias_ih"):
                    # An open forget gate at the start: Jozefowicz et al. 2015.
                    nn.init.ones_(weight.data[self.cells.hidden_size : 2 * self.cells.hidden_size])

    def _one_way(self, values: Tensor, suffix: str) -> Tensor:
        weights = [self._weight(f"{name}{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        start = values.new_zeros(1, values.shape[0], self.cells.hidden_size)  # [1, B, H]
        # In order: biases, layers, dropout, training, both ways, batch first.
        how = (True, 1, 0.0, self.training, False, True)
        if self.cell == "lstm":
            outputs, _, _ = torch.lstm(values, (start, start), weights, *how)
        else:
            outputs, _ = (torch.gru if self.cell == "gru" else torch.rnn_tanh)(values, start, weights, *how)
        return outputs.float()  # [B, T, H]

    def _weight(self, name: str) -> Tensor:
        """Return a weight, in training with part of those from state to state dropped (Merity et al. 2018).

        One draw serves all steps of a batch, and the fused kernel knows nothing of it.
        """
        weight: Tensor = getattr(self.cells, name)
        if self.weight_dropout and name.startswith("weight_hh"):
            return nn.functional.dropout(weight, self.weight_dropout, self.training)
        return weight


def encoder(config: ModelConfig) -> FusedEncoder | BatchNormEncoder:
    """Make the encoder that the settings describe."""
    return FusedEncoder(config) if config.recurrent_norm == "none" else BatchNormEncoder(config)
