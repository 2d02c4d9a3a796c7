"""Serving: HTTP text in, answers of LSTM and GRU models out."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("sluice")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+source"
