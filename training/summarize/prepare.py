"""Data to arrays: trains the vocabulary, then encodes pairs, sentences to restore, and text for the language model."""

import json
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.data import read_texts
from training.paths import RunPaths
from training.summarize import corpus, vocabulary
from training.summarize.config import Documents as Source
from training.summarize.config import Kind, PairSet, SummarizeConfig
from training.summarize.corpus import Documents, Pairs, Ragged, Row, load_documents
from training.summarize.oracle import sentence_pairs
from training.summarize.pairs import CLEANED, UNKNOWN_WORD, Pair, read, sentences

TRAIN, DEV = "train", "dev"
DOCUMENTS, STREAM = "documents", "stream"
VOCABULARY_CHARS = 2000
"""Of each document, for the vocabulary: the long ones would otherwise be all that it knows."""
DOCUMENT_CHARS = 3000
"""Of each document to pre-train on."""
CHUNK = 2000
Say = Callable[[str], None]


def prepare(config: SummarizeConfig, data: Path, paths: RunPaths, say: Say) -> None:
    """Write tokenizer.json and prepared/*.npz; test splits are never read here."""
    train = {one.name: _read(data, one, TRAIN) for one in config.sets if one.rows_per_epoch}
    say(f"prepare: {sum(map(len, train.values()))} training pairs in {len(train)} sets")
    documents = [(one, _documents(data, one)) for one in (config.pretrain.documents if config.pretrain else ())]
    trained = vocabulary.train(_texts(train, documents), config.vocabulary, config.normalization)
    paths.root.mkdir(parents=True, exist_ok=True)
    trained.save(str(paths.tokenizer))
    say(f"prepare: vocabulary of {trained.get_vocab_size()} entries")
    for one in config.sets:
        if one.rows_per_epoch:
            _save(paths, one.name, TRAIN, _encoded(train[one.name], one, trained, config), say)
        if one.scored:
            dev = _read(data, one, DEV)
            _save(paths, one.name, DEV, _encoded(dev, one, trained, config), say)
            references = [pair.summary for pair in dev]
            _references(paths, one.name).write_text(json.dumps(references, ensure_ascii=False), encoding="utf-8")
    if config.pretrain is not None:
        _prepare_documents(config, documents, trained, paths, say)


def training_pairs(config: SummarizeConfig, paths: RunPaths) -> list[tuple[Pairs, int]]:
    """Open the training pairs with the rows that an epoch takes of them, in the config's order."""
    return [(opened(paths, one.name, TRAIN), one.rows_per_epoch) for one in config.sets if one.rows_per_epoch]


def dev_pairs(config: SummarizeConfig, paths: RunPaths, rows: int) -> dict[str, tuple[Pairs, list[str]]]:
    """Open at most `rows` dev pairs of each scored set, spread evenly, with the text of their summaries."""
    found = {}
    for one in config.sets:
        if one.scored:
            pairs = opened(paths, one.name, DEV)
            texts = json.loads(paths.need(_references(paths, one.name), "prepare").read_text(encoding="utf-8"))
            kept = np.linspace(0, len(pairs) - 1, rows).astype(int) if len(pairs) > rows else range(len(pairs))
            found[one.name] = (pairs.head(rows), [texts[int(at)] for at in kept])
    return found


def opened(paths: RunPaths, name: str, split: str) -> Pairs:
    """Open prepared pairs."""
    return corpus.load(paths.need(_file(paths, name, split), "prepare"))


def stream(paths: RunPaths) -> NDArray[np.int32]:
    """Open the text of the language model: documents end to end in a random order, the padding id after each."""
    with np.load(paths.need(_stream(paths), "prepare"), allow_pickle=False) as arrays:
        ids: NDArray[np.int32] = arrays["ids"]
    return ids


def documents(paths: RunPaths) -> Documents:
    """Open the documents to pre-train on, in a random order."""
    return load_documents(paths.need(_documents_file(paths), "prepare"))


def _read(data: Path, one: PairSet, split: str) -> list[Pair]:
    pairs = read(data, one.name, split)
    if split == TRAIN and one.rows is not None:
        pairs = pairs[: one.rows]
    if one.pairs == "sentences":
        pairs = [found for pair in pairs for found in sentence_pairs(pair)]
    return pairs


def _documents(data: Path, one: Source) -> list[str]:
    cleaned = CLEANED.get(one.name, str)
    texts = read_texts(data, one.folder, one.name, TRAIN, one.field)[: one.rows]
    return [cleaned(text[:DOCUMENT_CHARS]) for text in texts]


def _texts(train: dict[str, list[Pair]], documents: Sequence[tuple[Source, list[str]]]) -> list[str]:
    texts = [text for pairs in train.values() for pair in pairs for text in pair]
    texts += [text for _, found in documents for text in found]
    return [text[:VOCABULARY_CHARS] for text in dict.fromkeys(texts)]


def _encoded(pairs: Sequence[Pair], one: PairSet, tokenizer: Tokenizer, config: SummarizeConfig) -> Pairs:
    longest = config.vocabulary.max_tokens[one.kind]
    hidden = tokenizer.token_to_id(UNKNOWN_WORD[one.name]) if one.name in UNKNOWN_WORD else None
    sources, targets = [], []
    for source, target in zip(
        vocabulary.encode(tokenizer, [pair.document for pair in pairs]),
        vocabulary.encode(tokenizer, [pair.summary for pair in pairs]),
        strict=True,
    ):
        sources.append(source[:longest] if len(source) else np.array([vocabulary.UNK_ID], np.int32))
        known = target if hidden is None else np.where(target == hidden, vocabulary.UNK_ID, target).astype(np.int32)
        targets.append(np.append(known, np.int32(vocabulary.EOS_ID))[: config.vocabulary.max_summary_tokens])
    return Pairs(Ragged.of(sources), Ragged.of(targets), np.full(len(pairs), vocabulary.KIND_IDS[one.kind]))


def _prepare_documents(
    config: SummarizeConfig,
    documents: Sequence[tuple[Source, list[str]]],
    tokenizer: Tokenizer,
    paths: RunPaths,
    say: Say,
) -> None:
    settings = config.pretrain
    if settings is None:
        return
    cut = [(one.kind, sentence_ids) for one, texts in documents for sentence_ids in _by_sentence(texts, tokenizer)]
    order = np.random.default_rng(config.seed).permutation(len(cut))
    if settings.restore is not None:
        kinds = [vocabulary.KIND_IDS[cut[at][0]] for at in order]
        kept = Documents.of([cut[at][1] for at in order], kinds)
        kept.save(_documents_file(paths))
        say(f"prepare: {len(kept)} documents of {len(kept.sentences.ids)} tokens to restore sentences of")
    if settings.language_model is not None:
        parts, tokens, end = [], 0, np.array([vocabulary.PAD_ID], dtype=np.int32)
        for at in order:
            kind, document = cut[at]
            parts += [*_lined(kind, document), end]
            tokens += sum(map(len, document)) + 1
            if tokens >= settings.language_model_tokens:
                break
        np.savez(_stream(paths), ids=np.concatenate(parts))
        say(f"prepare: {tokens} tokens for the language model")


def _by_sentence(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[Row]]:
    """Encode documents a sentence at a time."""
    found = []
    for start in range(0, len(texts), CHUNK):
        cut = [sentences(text) for text in texts[start : start + CHUNK]]
        rows = iter(vocabulary.encode(tokenizer, [one for document in cut for one in document]))
        found += [[row for row in islice(rows, len(document)) if len(row)] for document in cut]
    return found


def _lined(kind: Kind, document: Sequence[Row]) -> list[Row]:
    if kind != "dialogue":
        return list(document)
    line = np.array([vocabulary.LINE_ID], dtype=np.int32)
    return [part for one in document for part in (one, line)]


def _save(paths: RunPaths, name: str, split: str, pairs: Pairs, say: Say) -> None:
    pairs.save(_file(paths, name, split))
    say(
        f"prepare: {name}/{split}: {len(pairs)} pairs, {pairs.sources.lens.mean():.1f} tokens to "
        f"{pairs.targets.lens.mean():.1f}, unknown {(pairs.sources.ids == vocabulary.UNK_ID).mean():.4f}"
    )


def _file(paths: RunPaths, name: str, split: str) -> Path:
    return paths.prepared / f"{name}.{split}.npz"


def _references(paths: RunPaths, name: str) -> Path:
    return paths.prepared / f"{name}.{DEV}.json"


def _documents_file(paths: RunPaths) -> Path:
    return paths.prepared / f"{DOCUMENTS}.npz"


def _stream(paths: RunPaths) -> Path:
    return paths.prepared / f"{STREAM}.npz"
