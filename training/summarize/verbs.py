"""The verbs of `sluice-train` for a run that writes."""

from training.dispatch import Verbs
from training.summarize.config import load
from training.summarize.export import export
from training.summarize.pack import pack
from training.summarize.prepare import prepare
from training.summarize.stages import pretrain, train

VERBS = Verbs(load, prepare, train, export, pack, pretrain)
