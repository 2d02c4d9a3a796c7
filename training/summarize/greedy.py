"""Greedy summaries straight from the network, for dev figures while it trains and to hold the graphs against."""

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.models.pointer import PointerGenerator
from training.models.pointer_step import PointerStep
from training.summarize.vocabulary import BOS_ID, EOS_ID, KIND_IDS, LINE_ID, PAD_ID, UNK_ID


def step_of(network: PointerGenerator, tokenizer: Tokenizer) -> PointerStep:
    """Return the decoder's step, with the special tokens and the pieces with a digit kept from being written."""
    digits = [at for piece, at in tokenizer.get_vocab().items() if any(sign.isdigit() for sign in piece)]
    never = [PAD_ID, BOS_ID, LINE_ID, *KIND_IDS.values()]
    return PointerStep(network, never=never, only_copied=[UNK_ID], digits=digits)


def greedy(
    step: PointerStep, ids: Tensor, lens: Tensor, kinds: Tensor, *, max_tokens: int, free: bool = True
) -> list[list[int]]:
    """Return the ids of each source's summary, without its end, at most `max_tokens` each."""
    network = step.network
    source = network.read(ids, lens, kinds)
    rows = len(lens)
    state = source.state.float().unsqueeze(1)  # [B, 1, 4 D]
    memory, keys = source.memory.float(), source.keys.float()
    coverage = memory.new_zeros(rows, 1, ids.shape[1])  # [B, 1, S]
    tokens = ids.new_full((rows, 1), BOS_ID)  # [B, 1]
    banned, freedom, k = ids.new_full((rows, 1, 1), -1), memory.new_full((rows,), float(free)), torch.tensor([1])
    found: list[list[int]] = [[] for _ in range(rows)]
    going = set(range(rows))
    for _ in range(max_tokens):
        stepped = step(tokens, state, coverage, memory, keys, ids, lens, banned, freedom, k)
        tokens, state, coverage = stepped.ids[:, :, 0], stepped.state, stepped.coverage
        for row, (token,) in enumerate(tokens.tolist()):
            if row in going:
                if token == EOS_ID:
                    going.discard(row)
                else:
                    found[row].append(token)
        if not going:
            break
    return found
