"""One step of the decoder over rows and beams, as it is exported: state in, the best next tokens and state out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.pointer import FAR, PARTS, PointerGenerator

LEAST = 1e-30
LEAST_GATE = -60.0
"""A lower logit of writing changes nothing, and copying's chance over that of writing would be too large a number."""


class Stepped(NamedTuple):
    """What a step gives; R rows, K beams, k best, S source positions, V entries, D wide.

    ids int64[R, K, k], logps float32[R, K, k] and copied float32[R, K, k] of the best next tokens, best first; state
    float32[R, K, 4 D]; coverage float32[R, K, S].
    """

    ids: Tensor
    logps: Tensor
    copied: Tensor
    state: Tensor
    coverage: Tensor


class Moved(NamedTuple):
    """What a step knows before the best are taken; state and coverage as in `Stepped`.

    chances float32[R, K, V] of the next token, over that of writing, and 0 where a token may not be; written
    float32[R, K, V] is the part of them that is not copied; gate float32[R, K, 1], the logit of writing.
    """

    chances: Tensor
    written: Tensor
    gate: Tensor
    state: Tensor
    coverage: Tensor


class PointerStep(nn.Module):
    """A network's decoder, one step at a time, with what may be written told by id.

    `never` cannot follow at all; `only_copied` cannot be written, and `digits` cannot where `free` is 0.
    """

    never: Tensor
    unwritten: Tensor
    digitless: Tensor

    def __init__(
        self, network: PointerGenerator, *, never: Sequence[int], only_copied: Sequence[int], digits: Sequence[int]
    ) -> None:
        super().__init__()
        self.network = network
        size = len(network.bias)
        self.register_buffer("never", torch.tensor(list(never)))
        self.register_buffer("unwritten", _marked(size, [*never, *only_copied], FAR))
        self.register_buffer("digitless", 1 - _marked(size, digits, 1.0))

    def forward(  # noqa: PLR0917 - a graph's inputs come by position
        self,
        tokens: Tensor,
        state: Tensor,
        coverage: Tensor,
        memory: Tensor,
        keys: Tensor,
        ids: Tensor,
        lens: Tensor,
        banned: Tensor,
        free: Tensor,
        k: Tensor,
    ) -> Stepped:
        """Take one step.

        tokens int64[R, K] are the last ones; state float32[R, K, 4 D]; coverage float32[R, K, S], the sum of attention
        so far; memory float32[R, S, D], keys float32[R, S, A], ids int64[R, S] and lens int64[R] are the sources';
        banned int64[R, K, N] must not be next, -1 being none; free float32[R]; k int64[1].
        """
        moved = self.next(tokens, state, coverage, memory, keys, ids, lens, banned, free)
        best, best_ids = moved.chances.topk(k, dim=2)  # type: ignore[arg-type]  # [R, K, k]
        share = 1 - moved.written.gather(2, best_ids) / best.clamp_min(LEAST)  # [R, K, k]
        logps = (best.log() - functional.softplus(-moved.gate)).clamp_max(0.0)  # [R, K, k]
        return Stepped(best_ids, logps, share.clamp(0.0, 1.0), moved.state, moved.coverage)

    def next(  # noqa: PLR0917 - as `forward`
        self,
        tokens: Tensor,
        state: Tensor,
        coverage: Tensor,
        memory: Tensor,
        keys: Tensor,
        ids: Tensor,
        lens: Tensor,
        banned: Tensor,
        free: Tensor,
    ) -> Moved:
        """Take a step and return the chances of every next token; arguments as in `forward`."""
        network = self.network
        hidden, cell, upper_hidden, upper_cell = state.chunk(PARTS, dim=2)  # [R, K, D] each
        embedded = network.embedding(tokens)  # [R, K, E]
        asked, cell = _cell(network.lower, embedded, hidden, cell)  # [R, K, D]
        places = torch.ones_like(ids).cumsum(dim=1)  # [R, S], 1-based
        padding = (places > lens.unsqueeze(1)).unsqueeze(1)  # [R, 1, S]
        scores = network.scores(asked, keys) - network.worn(asked) * coverage  # [R, K, S]
        attention = torch.softmax(scores.masked_fill(padding, FAR), dim=2)  # [R, K, S]
        context = attention @ memory  # [R, K, D]
        found, upper_cell = _cell(network.upper, torch.cat([asked, context], dim=2), upper_hidden, upper_cell)
        joined = torch.cat([found, context], dim=2)  # [R, K, 2 D]
        gate = network.gate(torch.cat([joined, embedded], dim=2)).clamp_min(LEAST_GATE)  # [R, K, 1]
        # All chances are kept over that of writing, not times it: that scales the few of attention, and not the many.
        copying = (-gate).exp()  # [R, K, 1], what a sigmoid leaves over what it takes
        bias = network.bias + self.unwritten  # [V], constant: one pass over [R, K, V] less than adding it to the logits
        logits = functional.linear(network.output(joined).tanh(), network.embedding.weight, bias)  # [R, K, V]
        allowed = torch.maximum(self.digitless, free.unsqueeze(1)).unsqueeze(1)  # [R, 1, V]
        written = torch.softmax(logits, dim=2) * allowed  # [R, K, V]
        mixed = written.scatter_add(2, _spread(ids, attention), copying * attention)  # [R, K, V]
        closed = self._closed(banned)  # [R, K, N + C]
        chances = mixed.scatter(2, closed, torch.zeros_like(closed, dtype=mixed.dtype))  # [R, K, V]
        next_state = torch.cat([asked, cell, found, upper_cell], dim=2)  # [R, K, 4 D]
        return Moved(chances, written, gate, next_state, coverage + attention)

    def _closed(self, banned: Tensor) -> Tensor:
        """Return banned int64[R, K, N] and what can never follow, int64[R, K, N + C]; for -1 stands one of those."""
        real = torch.where(banned < 0, self.never[0], banned)  # [R, K, N]
        return torch.cat([real, self.never.expand(banned.shape[0], banned.shape[1], -1)], dim=2)  # [R, K, N + C]


def _cell(cells: nn.LSTM, values: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return an LSTM's next hidden and cell state [R, K, D] for values [R, K, I]."""
    weights = dict(cells.named_parameters())
    gates = functional.linear(values, weights["weight_ih_l0"], weights["bias_ih_l0"])  # [R, K, 4 D]
    gates = gates + functional.linear(hidden, weights["weight_hh_l0"], weights["bias_hh_l0"])  # [R, K, 4 D]
    taken, kept, new, shown = gates.chunk(4, dim=2)  # [R, K, D] each
    cell = torch.sigmoid(kept) * cell + torch.sigmoid(taken) * torch.tanh(new)  # [R, K, D]
    return torch.sigmoid(shown) * torch.tanh(cell), cell


def _spread(ids: Tensor, like: Tensor) -> Tensor:
    """Return ids int64[R, S] once for each beam, int64[R, K, S] as `like`."""
    return ids.unsqueeze(1).expand_as(like)


def _marked(size: int, ids: Sequence[int], mark: float) -> Tensor:
    marked = torch.zeros(size)
    marked[torch.tensor(list(ids), dtype=torch.int64)] = mark
    return marked
