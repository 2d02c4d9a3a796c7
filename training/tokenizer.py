"""Byte-pair encoding trained on the corpus (Sennrich et al. 2016), with the normalization that serving uses too."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from app.modelpack.normalize import normalization
from training.config import TokenizerConfig

PAD, UNK = "[PAD]", "[UNK]"
# The trainer numbers special tokens first, in order; from here the ids travel in the package's manifest.
PAD_ID, UNK_ID = 0, 1
CONTINUING = "##"


def train(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Train on the texts; the normalizer travels inside the returned tokenizer, and pad is id 0.

    The same texts make the same tokenizer. The trainer numbers letters inside words as its hash table gives out the
    words, and by these numbers decides between pairs that are equally frequent, so they are numbered beforehand: it
    takes its special tokens in their order, and afterwards these are special no more.
    """
    texts = list(texts)
    letters = _trained(texts, config, [PAD, UNK], 0).get_vocab()
    inside = sorted(piece for piece in letters if piece.startswith(CONTINUING) and len(piece) == len(CONTINUING) + 1)
    trained = json.loads(_trained(texts, config, [PAD, UNK, *inside], config.vocab_size).to_str())
    trained["added_tokens"] = [token for token in trained["added_tokens"] if token["content"] in {PAD, UNK}]
    return Tokenizer.from_str(json.dumps(trained))


def _trained(texts: list[str], config: TokenizerConfig, first: list[str], vocab_size: int) -> Tokenizer:
    """Return a tokenizer whose first ids are those of ``first``."""
    tokenizer = Tokenizer(BPE(unk_token=UNK, continuing_subword_prefix=CONTINUING))
    shared = normalization(config.normalization)
    tokenizer.normalizer = shared.normalizer
    tokenizer.pre_tokenizer = shared.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=first,
        continuing_subword_prefix=CONTINUING,
        limit_alphabet=config.alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(path: Path) -> Tokenizer:
    """Read a tokenizer.json."""
    return Tokenizer.from_file(str(path))


def encode(tokenizer: Tokenizer, texts: list[str], max_tokens: int) -> list[NDArray[np.int32]]:
    """Encode texts to ids, int32[tokens] each, keeping the first `max_tokens`; a text without any is one unknown."""
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return [np.array(one.ids[:max_tokens] or [UNK_ID], dtype=np.int32) for one in encodings]
