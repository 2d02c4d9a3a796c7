"""The Open Inference Protocol, version 2, under /v2: the same packages by the names that its clients know."""
