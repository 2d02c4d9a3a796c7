"""Data to arrays: trains the tokenizer on the training texts and encodes every split that `train` will read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from training import auxiliary, corpus, tokenizer
from training.batches import Source, class_weights
from training.config import RunConfig
from training.corpus import Corpus
from training.data import Rows, read_split, read_texts
from training.paths import RunPaths

DEV = "dev"


def prepare(config: RunConfig, data: Path, paths: RunPaths, say: Callable[[str], None]) -> None:
    """Write tokenizer.json and prepared/<set>.<split>.npz; test splits are never read here."""
    train = {
        (one.name, part.split): read_split(data, one.name, part.split, config.labels)
        for one in config.sets
        for part in one.train
    }
    say(f"prepare: {sum(map(len, train.values()))} training rows in {len(train)} splits")
    beside = _beside(config, data)
    second = [(one, auxiliary.read(data, one)) for one in config.auxiliary]
    seen = [*(rows.texts for rows in train.values()), *beside.values()]
    trained = tokenizer.train((text for texts in seen for text in texts), config.tokenizer)
    paths.root.mkdir(parents=True, exist_ok=True)
    trained.save(str(paths.tokenizer))
    say(f"prepare: tokenizer of {trained.get_vocab_size()} entries")
    splits: dict[tuple[str, str], Rows] = train | {
        (one.name, DEV): read_split(data, one.name, DEV, config.labels) for one in config.sets
    }
    for (name, split), rows in splits.items():
        encoded = corpus.from_rows(rows, trained, config.labels, config.tokenizer.max_tokens)
        encoded.save(_file(paths, name, split))
        say(f"prepare: {name}/{split}: {len(encoded)} rows, {len(encoded.ids)} tokens")
    for (name, split), unlabelled in beside.items():
        encoded = corpus.unlabelled(unlabelled, trained, config.tokenizer.max_tokens)
        encoded.save(_file(paths, name, split))
        say(f"prepare: {name}/{split}: {len(encoded)} texts without labels, {len(encoded.ids)} tokens")
    for one, rows in second:
        encoded = corpus.from_rows(rows, trained, one.labels, config.tokenizer.max_tokens)
        encoded.save(paths.auxiliary(one.name, one.split))
        say(f"prepare: {one.name}/{one.split}: {len(encoded)} rows of a second set, {len(encoded.ids)} tokens")


def sources(config: RunConfig, paths: RunPaths) -> list[Source]:
    """Open the prepared training splits, in the config's order, and what teachers said of them where `distill` ran."""
    found = []
    for one in config.sets:
        for part in one.train:
            rows = split_of(paths, one.name, part.split)
            soft = _taught(config, paths, one.name, part.split)
            found.append(Source(rows, part.rows_per_epoch, class_weights(rows, part.balance), soft))
    for text in config.distill.texts if config.distill else ():
        soft = _taught(config, paths, text.name, text.split)
        classes = split_of(paths, text.like, DEV).classes
        rows = replace(split_of(paths, text.name, text.split), labels=soft.argmax(axis=1), classes=classes)
        found.append(Source(rows, text.rows_per_epoch, class_weights(rows, 0.0), soft))
    return found


def texts(config: RunConfig, paths: RunPaths) -> list[Corpus]:
    """Open everything that the language model reads: each training split once, then the texts without labels."""
    wanted = [(one.name, part.split) for one in config.sets for part in one.train]
    wanted += [(one.name, one.split) for one in (config.pretrain.texts if config.pretrain else ())]
    return [split_of(paths, name, split) for name, split in dict.fromkeys(wanted)]


def dev(config: RunConfig, paths: RunPaths) -> dict[str, Corpus]:
    """Open the prepared dev splits by set name, in the config's order."""
    return {one.name: split_of(paths, one.name, DEV) for one in config.sets}


def split_of(paths: RunPaths, name: str, split: str) -> Corpus:
    """Open one prepared split."""
    return corpus.load(paths.need(_file(paths, name, split), "prepare"))


def _beside(config: RunConfig, data: Path) -> dict[tuple[str, str], list[str]]:
    wanted = config.pretrain.texts if config.pretrain else ()
    return {
        (one.name, one.split): read_texts(data, one.folder, one.name, one.split, one.field)[: one.rows]
        for one in wanted
    }


def _taught(config: RunConfig, paths: RunPaths, name: str, split: str) -> Any:
    if config.distill is None:
        return None
    return np.load(paths.need(paths.taught(name, split), "distill"), allow_pickle=False)


def _file(paths: RunPaths, name: str, split: str) -> Path:
    return paths.prepared / f"{name}.{split}.npz"
