"""Where a run keeps what it makes, under one folder that can be thrown away."""

from dataclasses import dataclass
from pathlib import Path

from training.errors import RunError


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The files of one run: <runs>/<name>/...

    A run `below` another takes what stands before the labels from that other's folder: tokenizer, encoded
    splits, pre-trained weights.
    """

    root: Path
    prepared_in: Path | None = None

    def below(self, *parts: str) -> "RunPaths":
        """Return the paths of a run in a folder of this one, on the same prepared data."""
        return RunPaths(self.root.joinpath(*parts), self.prepared_in or self.root)

    @property
    def tokenizer(self) -> Path:
        """Write of `prepare`: the trained tokenizer."""
        return (self.prepared_in or self.root) / "tokenizer.json"

    @property
    def prepared(self) -> Path:
        """Write of `prepare`: one .npz for each encoded split."""
        return (self.prepared_in or self.root) / "prepared"

    def auxiliary(self, name: str, split: str) -> Path:
        """Write of `prepare`: a second set, whose labels are its own."""
        return self.prepared / "auxiliary" / f"{name}.{split}.npz"

    @property
    def pretrain_logs(self) -> Path:
        """Write of `pretrain`: its folder of checkpoint and metrics.csv."""
        return self.root / "pretraining"

    @property
    def pretraining(self) -> Path:
        """Write of `pretrain`: the checkpoint that a killed pre-training goes on from."""
        return self.pretrain_logs / "last.safetensors"

    @property
    def pretrained(self) -> Path:
        """Write of `pretrain`: embedding and recurrent weights to start from."""
        return (self.prepared_in or self.root) / "pretrained.safetensors"

    @property
    def pretrain_report(self) -> Path:
        """Write of `pretrain`: tokens read and perplexities on dev text."""
        return self.root / "pretrain.json"

    def taught(self, name: str, split: str) -> Path:
        """Write of `distill`: what the teachers give each class of each row, float32[rows, C]."""
        return self.root / "taught" / f"{name}.{split}.npy"

    @property
    def ngrams(self) -> Path:
        """Write of `train`: the fitted n-gram branch."""
        return self.root / "ngrams.npz"

    @property
    def checkpoints(self) -> Path:
        """Write of `train`: the folder of checkpoints."""
        return self.root / "checkpoints"

    @property
    def last(self) -> Path:
        """Write of `train`: the checkpoint that a killed run goes on from."""
        return self.checkpoints / "last.safetensors"

    @property
    def best(self) -> Path:
        """Write of `train`: the weights with the best mean on dev."""
        return self.checkpoints / "best.safetensors"

    @property
    def settings(self) -> Path:
        """Write of `train`: the settings it was begun with."""
        return self.root / "settings.json"

    @property
    def config(self) -> Path:
        """Write of `train`: a copy of the TOML file it was given."""
        return self.root / "config.toml"

    @property
    def log(self) -> Path:
        """Write of `train`: what it said, as plain lines."""
        return self.root / "log.txt"

    @property
    def curves(self) -> Path:
        """Write of `train`: loss and dev figures, drawn."""
        return self.root / "plots" / "learning-curves.png"

    @property
    def logs(self) -> Path:
        """Write of `train`: TensorBoard events and metrics.csv."""
        return self.root / "logs"

    @property
    def network(self) -> Path:
        """Write of `train`: the blended network's weights."""
        return self.root / "network.safetensors"

    @property
    def report(self) -> Path:
        """Write of `train`: what was chosen and what it measured on dev."""
        return self.root / "train.json"

    @property
    def fp32(self) -> Path:
        """Write of `export`: the graph in full precision."""
        return self.root / "model.onnx"

    @property
    def int8(self) -> Path:
        """Write of `export`: the graph quantized to 8 bits."""
        return self.root / "model.int8.onnx"

    @property
    def heldout(self) -> Path:
        """Write of `holdout`: each set by a network that never saw it."""
        return self.root / "holdout" / "holdout.json"

    @property
    def seeds(self) -> Path:
        """Dev figures of the same run under other seeds, for the card, if there are any."""
        return self.root / "seeds.json"

    def need(self, path: Path, verb: str) -> Path:
        """Return the path if it exists; otherwise `RunError` says which verb makes it."""
        if not path.exists():
            raise RunError(f"{path}: not there yet; run `sluice-train {verb}` with this config first")
        return path
