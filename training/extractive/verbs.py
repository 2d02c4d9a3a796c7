"""The verbs of `sluice-train` for a run that quotes."""

from training.dispatch import Verbs
from training.extractive.config import load
from training.extractive.export import export
from training.extractive.pack import pack
from training.extractive.prepare import prepare
from training.extractive.train import train

VERBS = Verbs(load, prepare, train, export, pack)
