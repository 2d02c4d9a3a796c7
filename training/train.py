"""Fits both branches, blends them on dev, and writes the network with a report of what was chosen."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TextIO

import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_model, save_model

from training import auxiliary, checkpoints, linear, tokenizer
from training.batches import DevBatches, TrainBatches
from training.blend import blend
from training.config import RunConfig
from training.corpus import Corpus
from training.loop import RecurrentTraining, averaged_branch
from training.models.classifier import Classifier, build
from training.paths import RunPaths
from training.plots import learning_curves
from training.prepare import dev as open_dev
from training.prepare import sources as open_sources
from training.pretrain import load_encoder
from training.quiet import quiet
from training.resuming import forget, refuse_other
from training.trainer import ONE_CPU, Machines, first_process, open_trainer

# What a fit depends on; the card's words are not among it.
SETTINGS: Any = {
    "labels": True,
    "seed": True,
    "tokenizer": True,
    "model": True,
    "pretrain": True,
    "distill": True,
    "ngrams": True,
    "loop": True,
    "sets": {"__all__": {"name", "metric", "train"}},
    "auxiliary": True,
}
Say = Callable[[str], None]


def prepare_torch(threads: int) -> None:
    """Set the threads, where not 0, and flush denormals, which vanishing gradients through time run into."""
    if threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def train(config: RunConfig, paths: RunPaths, say: Say, *, resume: bool = True, machines: Machines = ONE_CPU) -> None:
    """Fit, blend and save; with `resume`, go on from checkpoints/last.safetensors where there is one.

    The recurrent branch comes first, because where it runs in several processes, only the first one has work after it.
    `RunError` where the run that is there was begun with other settings.
    """
    if first_process():
        if not resume:
            forget(paths)
        refuse_other(config.model_dump(mode="json", include=SETTINGS), paths)
    network = new_network(config, paths)
    if config.pretrain is not None:
        load_encoder(network.recurrent, paths.need(paths.pretrained, "pretrain"))
    training = fit_recurrent(network, config, paths, resume=resume, machines=machines)
    if not training.trainer.is_global_zero:
        return
    network.recurrent = averaged_branch(training)
    with paths.log.open("a", encoding="utf-8", buffering=1) as log:
        _finish(network, training, config, paths, _also_to(log, say))


def _finish(network: Classifier, training: RecurrentTraining, config: RunConfig, paths: RunPaths, say: Say) -> None:
    """Fit the n-gram branch beside the recurrent one, blend them, and write network, report and plots."""
    if network.recurrent.bigrams is not None and config.model.bigram_rank:
        network.recurrent.bigrams.cut_to_rank(config.model.bigram_rank)
    fitted = fit_ngrams(network, config, paths, say)
    dev = {name: _batches(corpus, config) for name, corpus in open_dev(config, paths).items()}
    chosen = blend(network, dev, config.sets, config.blend, say)
    save_model(network, str(paths.network))
    report: dict[str, Any] = {
        "seconds": {"ngrams": fitted.seconds if fitted else 0.0, "recurrent": round(training.seconds, 1)},
        "steps": training.global_step,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "ngrams": fitted and {"l2": fitted.l2, "dev": {f"{key:g}": value for key, value in fitted.dev.items()}},
        "recurrent": {name: asdict(one) for name, one in training.dev_scores.items()},
        "blend": asdict(chosen),
    }
    paths.report.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    paths.curves.parent.mkdir(exist_ok=True)
    learning_curves(paths.logs, paths.curves)
    say(f"train: {chosen}")


def _also_to(log: TextIO, say: Say) -> Say:
    def both(line: str) -> None:
        log.write(f"{line}\n")
        say(line)

    return both


def new_network(config: RunConfig, paths: RunPaths) -> Classifier:
    """Make the untrained network; its first weights are a function of the seed."""
    vocabulary = tokenizer.load(paths.need(paths.tokenizer, "prepare"))
    torch.manual_seed(config.seed)
    return build(config, vocabulary.get_vocab_size(), tokenizer.PAD_ID)


def load_network(config: RunConfig, paths: RunPaths) -> Classifier:
    """Open what `train` wrote."""
    network = new_network(config, paths)
    if network.recurrent.bigrams is not None and config.model.bigram_rank:
        network.recurrent.bigrams.narrow(config.model.bigram_rank)
    load_model(network, str(paths.need(paths.network, "train")))
    return network.eval()


def fit_ngrams(network: Classifier, config: RunConfig, paths: RunPaths, say: Say) -> linear.LinearFit | None:
    """Fit the n-gram branch, or take the fit that is there; None where the network has none."""
    if network.ngrams is None:
        return None
    if paths.ngrams.exists():
        fitted = linear.LinearFit.load(paths.ngrams)
    else:
        fitted = linear.fit(open_sources(config, paths), open_dev(config, paths), config, say)
        fitted.save(paths.ngrams)
    fitted.copy_to(network.ngrams)
    return fitted


def fit_recurrent(
    network: Classifier,
    config: RunConfig,
    paths: RunPaths,
    *,
    resume: bool,
    machines: Machines = ONE_CPU,
    watchers: Sequence[Callback] = (),
) -> RecurrentTraining:
    """Fit the recurrent branch and return its training with the weights that scored best on dev.

    `watchers` see the run go by, and may end it by raising.
    """
    sources = auxiliary.beside(open_sources(config, paths), auxiliary.sources(config, paths))
    batches = TrainBatches(sources, config.loop, tokenizer.PAD_ID, config.seed)
    corpora = {name: corpus.head(config.loop.dev_rows) for name, corpus in open_dev(config, paths).items()}
    dev = {name: _batches(corpus, config) for name, corpus in corpora.items()}
    training = RecurrentTraining(
        network.recurrent,
        config.loop,
        config.sets,
        dev,
        steps=len(batches) * config.loop.epochs,
        unk_id=tokenizer.UNK_ID,
        word_dropout=config.model.word_dropout,
        seed=config.seed,
        auxiliary=auxiliary.new_auxiliary(config, network.recurrent, sources),
    )
    last = paths.last if resume and paths.last.exists() else None
    with quiet(), paths.log.open("a", encoding="utf-8") as log:
        trainer = open_trainer(config.loop, paths, log, machines=machines, watchers=watchers)
        batches.share(trainer.global_rank, trainer.world_size)
        trainer.fit(training, batches, list(dev.values()), ckpt_path=last)
        # Where the run ended, so that a second `train` finds nothing left to do.
        trainer.save_checkpoint(paths.last)
    training.load_state_dict(checkpoints.load(paths.best)["state_dict"])
    return training


def _batches(corpus: Corpus, config: RunConfig) -> DevBatches:
    return DevBatches(corpus, config.loop, tokenizer.PAD_ID)
