"""Reinforcement on ROUGE: a drawn summary gains probability by how much more it has than the greedy one.

Self-critical training (Rennie et al. 2017), as Paulus et al. 2018 for summaries. Both are written by the network as it
stands, without dropout; ROUGE is taken over ids, not words, so that a whole batch is scored where the network runs.
"""

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.models.pointer import PointerGenerator
from training.models.pointer_step import PointerStep
from training.summarize.batches import PairBatch
from training.summarize.greedy import step_of
from training.summarize.loss import token_costs
from training.summarize.vocabulary import BOS_ID, EOS_ID, PAD_ID, UNK_ID

COUPLES = 1 << 16
"""Pairs of ids are counted by a hash of so many values."""
_MIX = 40_503
BEYOND = 8
"""Tokens that a drawn summary may have more than the longest one of its batch."""


class SelfCritic:
    """A network that is its own judge; made where the network has come to the device that it trains on."""

    def __init__(self, network: PointerGenerator, tokenizer: Tokenizer) -> None:
        self._network = network
        self._step = step_of(network, tokenizer).to(network.bias.device)

    def loss(self, batch: PairBatch) -> Tensor:
        """Return float32[], whose gradient raises drawn summaries by their ROUGE less that of the greedy ones."""
        network = self._network
        network.eval()
        with torch.no_grad():
            greedy, drawn = written(self._step, batch, max_tokens=batch.targets.shape[1] + BEYOND)  # [B, T] each
            gains = rouge(drawn, batch.targets) - rouge(greedy, batch.targets)  # [B]
        network.train()
        return weighed(network, batch, drawn, gains)


def weighed(network: PointerGenerator, batch: PairBatch, drawn: Tensor, gains: Tensor) -> Tensor:
    """Return float32[], nats a token of summaries int64[B, T] of a batch's sources, each counting its gain float32[B].

    Less of it is more of the summaries that gained, and less of those that lost.
    """
    begin = drawn.new_full((len(drawn), 1), BOS_ID)  # [B, 1]
    counted = drawn != PAD_ID  # [B, T]
    inputs = torch.cat([begin, drawn[:, :-1]], dim=1)  # [B, T]
    again = PairBatch(batch.ids, batch.lens, batch.kinds, inputs, drawn, counted)
    decoded = network(again.ids, again.lens, again.kinds, again.inputs)
    costs = gains.new_zeros(drawn.shape)  # [B, T]
    costs[counted] = token_costs(network, decoded, again).plain.float()
    return (gains * costs.sum(dim=1)).sum() / counted.sum()


def written(step: PointerStep, batch: PairBatch, *, max_tokens: int) -> tuple[Tensor, Tensor]:
    """Return greedy and drawn summaries of a batch, int64[B, T] each, ended by its end token and padded."""
    source = step.network.read(batch.ids, batch.lens, batch.kinds)
    memory, keys = source.memory.float(), source.keys.float()
    rows = len(batch.lens)
    state = source.state.float().unsqueeze(1).expand(-1, 2, -1)  # [B, 2, 4 D]
    coverage = memory.new_zeros(rows, 2, batch.ids.shape[1])  # [B, 2, S]
    tokens = batch.ids.new_full((rows, 2), BOS_ID)  # [B, 2]
    banned, free = batch.ids.new_full((rows, 2, 1), -1), memory.new_ones(rows)
    ended = torch.zeros_like(tokens, dtype=torch.bool)  # [B, 2]
    found = []
    for _ in range(max_tokens):
        next_step = step.next(tokens, state, coverage, memory, keys, batch.ids, batch.lens, banned, free)
        state, coverage = next_step.state, next_step.coverage
        greedy = next_step.chances[:, 0].argmax(dim=1)  # [B]
        drawn = torch.multinomial(next_step.chances[:, 1], 1).squeeze(1)  # [B]
        tokens = torch.stack([greedy, drawn], dim=1).masked_fill(ended, PAD_ID)  # [B, 2]
        found.append(tokens)
        ended = ended | (tokens == EOS_ID)  # [B, 2]
        if bool(ended.all()):
            break
    both = torch.stack(found, dim=2)  # [B, 2, T]
    return both[:, 0], both[:, 1]


def rouge(summaries: Tensor, references: Tensor) -> Tensor:
    """Return float32[B], the mean of ROUGE-1, -2 and -L F over ids, of int64[B, T] against int64[B, U].

    Padding, ends and unknown tokens count for nothing.
    """
    own, wanted = _said(summaries), _said(references)  # [B, T], [B, U]
    size = int(max(summaries.max(), references.max())) + 1
    first = _shared(summaries, own, references, wanted, size)  # [B]
    couples = [
        ((ids[:, :-1] * _MIX + ids[:, 1:]) % COUPLES, said[:, :-1] & said[:, 1:])
        for ids, said in ((summaries, own), (references, wanted))
    ]
    second = _shared(*couples[0], *couples[1], COUPLES)  # [B]
    longest = _common(summaries, own, references, wanted)  # [B]
    whole = _f(longest, own.sum(dim=1), wanted.sum(dim=1))  # [B]
    return (first + second + whole) / 3


def _said(ids: Tensor) -> Tensor:
    return (ids != PAD_ID) & (ids != EOS_ID) & (ids != UNK_ID)


def _shared(ids: Tensor, said: Tensor, others: Tensor, wanted: Tensor, size: int) -> Tensor:
    """Return F float32[B] of the ids that two rows share, each as often as it stands in both."""
    mine = said.new_zeros(len(ids), size, dtype=torch.float32).scatter_add(1, ids, said.float())  # [B, size]
    theirs = mine.new_zeros(len(ids), size).scatter_add(1, others, wanted.float())  # [B, size]
    return _f(torch.minimum(mine, theirs).sum(dim=1), said.sum(dim=1), wanted.sum(dim=1))


def _common(ids: Tensor, said: Tensor, others: Tensor, wanted: Tensor) -> Tensor:
    """Return the length float32[B] of the longest common subsequence, a row of the usual table at a time."""
    best = others.new_zeros(others.shape)  # [B, U]
    for at in range(ids.shape[1]):
        same = (others == ids[:, at : at + 1]) & wanted & said[:, at : at + 1]  # [B, U]
        before = torch.cat([torch.zeros_like(best[:, :1]), best[:, :-1]], dim=1)  # [B, U]
        best = torch.maximum(best, before + same).cummax(dim=1).values  # [B, U]
    return best[:, -1].float()


def _f(shared: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
    return 2 * shared / (own + wanted).clamp(min=1)
