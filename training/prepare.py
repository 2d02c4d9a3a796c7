"""Data to arrays: trains the tokenizer on the training texts and encodes every split that `train` will read."""

from collections.abc import Callable
from pathlib import Path

from training import corpus, tokenizer
from training.batches import Source, class_weights
from training.config import RunConfig
from training.corpus import Corpus
from training.data import Rows, read_any, read_split
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
    seen = [*train.values(), *beside.values()]
    trained = tokenizer.train((text for rows in seen for text in rows.texts), config.tokenizer)
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
    for (name, split), rows in beside.items():
        encoded = corpus.unlabelled(rows.texts, trained, config.tokenizer.max_tokens)
        encoded.save(_file(paths, name, split))
        say(f"prepare: {name}/{split}: {len(encoded)} texts without labels, {len(encoded.ids)} tokens")


def sources(config: RunConfig, paths: RunPaths) -> list[Source]:
    """Open the prepared training splits, in the config's order."""
    found = []
    for one in config.sets:
        for part in one.train:
            rows = _open(paths, one.name, part.split)
            found.append(Source(rows, part.rows_per_epoch, class_weights(rows, part.balance)))
    return found


def texts(config: RunConfig, paths: RunPaths) -> list[Corpus]:
    """Open everything that the language model reads: each training split once, then the texts without labels."""
    wanted = [(one.name, part.split) for one in config.sets for part in one.train]
    wanted += [(one.name, one.split) for one in (config.pretrain.texts if config.pretrain else ())]
    return [_open(paths, name, split) for name, split in dict.fromkeys(wanted)]


def dev(config: RunConfig, paths: RunPaths) -> dict[str, Corpus]:
    """Open the prepared dev splits by set name, in the config's order."""
    return {one.name: _open(paths, one.name, DEV) for one in config.sets}


def _beside(config: RunConfig, data: Path) -> dict[tuple[str, str], Rows]:
    wanted = config.pretrain.texts if config.pretrain else ()
    return {(one.name, one.split): read_any(data, one.name, one.split) for one in wanted}


def _open(paths: RunPaths, name: str, split: str) -> Corpus:
    return corpus.load(paths.need(_file(paths, name, split), "prepare"))


def _file(paths: RunPaths, name: str, split: str) -> Path:
    return paths.prepared / f"{name}.{split}.npz"
