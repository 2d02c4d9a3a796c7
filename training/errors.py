"""What can go wrong in training, one tree; the command line prints the message and exits with 1."""


class TrainingError(Exception):
    """The root: a message for the person at the keyboard, no trace needed."""


class ConfigError(TrainingError):
    """A run's TOML file is missing, malformed, or holds a key or value it must not."""


class DataError(TrainingError):
    """A data set, split, column or label is missing or unlike what the run expects."""


class RunError(TrainingError):
    """A step was asked for before the step it builds on."""


class PackRefusedError(TrainingError):
    """A graph failed one of the checks that guard a package."""


class ExportRefusedError(TrainingError):
    """A network has a part that ONNX Runtime cannot compute."""
