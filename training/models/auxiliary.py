"""What a recurrent branch learns beside its labels, through heads that training alone has.

The branch knows nothing of them: they are kept in checkpoints, and neither in its weights nor in its graph.
"""

import torch
from torch import Tensor, nn

from training.batches import Batch
from training.models.language import SampledSoftmax
from training.models.masking import real
from training.models.recurrent import RecurrentBranch


class NextTokens(nn.Module):
    """A language model on a classifier's own states (Rei 2017): they tell the token that comes next in their direction.

    A state may then not have seen that token: one layer, or several that all read on, over an embedding of one token.
    Output and input share the embedding (Press and Wolf 2017).
    """

    def __init__(self, hidden: int, directions: int, embedding: nn.Embedding, softmax: SampledSoftmax) -> None:
        super().__init__()
        self.softmax = softmax
        self.projections = nn.ModuleList(nn.Linear(hidden, embedding.embedding_dim) for _ in range(directions))
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def forward(self, states: Tensor, ids: Tensor, lens: Tensor, table: Tensor) -> Tensor:
        """Return each row's mean loss in nats a prediction, float32[B]; 0 for a row of one token, which predicts none.

        states float32[B, T, S] hold the forward direction's and then, where there is one, the backward one's; what
        they are to tell is ids int64[B, T], and padding beyond lens int64[B] is neither told from nor told. The output
        table is float32[V, E].
        """
        pairs = real(ids, lens)[:, 1:]  # bool[B, T - 1]: a token and the one before it
        there, *back = states.chunk(len(self.projections), dim=2)  # [B, T, H] each
        tasks = [(there[:, :-1], ids[:, 1:]), *((one[:, 1:], ids[:, :-1]) for one in back)]
        losses = []
        for (read, targets), projection in zip(tasks, self.projections, strict=True):
            costs = self.softmax(projection(read[pairs]), targets[pairs], table, self.bias)  # [N]
            losses.append(costs.new_zeros(pairs.shape).masked_scatter(pairs, costs).sum(dim=1))  # [B]
        return torch.stack(losses).mean(dim=0) / pairs.sum(dim=1).clamp(min=1)  # [B]


class Auxiliary(nn.Module):
    """The heads beside a branch's own: one for the classes of second sets, one for tokens; either may be missing."""

    def __init__(self, features: int, classes: int, words: NextTokens | None) -> None:
        super().__init__()
        self.head = nn.Linear(features, classes) if classes else None
        self.words = words

    def forward(self, branch: RecurrentBranch, ids: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits float32[B, C + D], the branch's own first, and each row's loss over tokens, float32[B].

        The branch reads ids int64[B, T], the batch's with words dropped; the tokens to tell are the batch's own.
        """
        states, mask = branch.encode(ids, batch.lens), real(ids, batch.lens)  # [B, T, S], [B, T]
        features = branch.output_dropout(branch.pooled(states, mask))  # [B, F]
        logits = branch.head(features).float()  # [B, C]
        if self.head is not None:
            logits = torch.cat([logits, self.head(features).float()], dim=1)  # [B, C + D]
        if self.words is None:
            return logits, logits.new_zeros(len(logits))  # [B, C + D], [B]
        return logits, self.words(states, batch.ids, batch.lens, branch.embedding.weight)  # [B, C + D], [B]
