"""The vocabulary that source and summary share: byte pairs (Sennrich et al. 2016), single characters in Chinese.

Special tokens stand in the vocabulary but are no added tokens of the tokenizer: no merge leads to them, so a text that
spells "<s>" is cut into its characters. A line break is the one of them that a text has, spelt as itself.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from app.modelpack.normalize import SPACE, normalization
from training.summarize.config import KINDS, Kind, VocabularyConfig

PAD, UNK, BOS, EOS, LINE = "<pad>", "<unk>", "<s>", "</s>", "\n"
SPECIAL = (PAD, UNK, BOS, EOS, *(f"<{kind}>" for kind in KINDS), LINE)
# The trainer numbers special tokens first, in order; from here the ids travel in the package's manifest.
PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
KIND_IDS: dict[Kind, int] = {kind: 4 + at for at, kind in enumerate(KINDS)}
LINE_ID = len(SPECIAL) - 1


def train(texts: Iterable[str], config: VocabularyConfig, version: int) -> Tokenizer:
    """Train on the texts with a normalization version; the special tokens have the first ids."""
    tokenizer = Tokenizer(BPE(unk_token=UNK))
    shared = normalization(version)
    tokenizer.normalizer = shared.normalizer
    tokenizer.pre_tokenizer = shared.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(SPECIAL),
        limit_alphabet=config.alphabet,
        initial_alphabet=[SPACE],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(state, ensure_ascii=False))


def load(path: Path) -> Tokenizer:
    """Read a tokenizer.json."""
    return Tokenizer.from_file(str(path))


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[NDArray[np.int32]]:
    """Encode texts to ids, int32[tokens] each; a text may have none."""
    return [np.array(one.ids, dtype=np.int32) for one in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def text_of(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """Join pieces to text, lower-case as they are, up to the end of the summary; for figures while training.

    Special tokens, the unknown one among them, say nothing.
    """
    pieces = []
    for one in ids:
        if one == EOS_ID:
            break
        if one >= LINE_ID:
            pieces.append(tokenizer.id_to_token(int(one)) or "")
    return "".join(pieces).replace(SPACE, " ").strip()
