"""ONNX Runtime: providers, threads, sessions; arrays in, arrays out."""

import os

# The official builds report usage to their maker unless this stands before the library is loaded. Nothing here reports.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
