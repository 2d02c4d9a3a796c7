"""Summarizers that write: from pairs of document and summary to a package of an encoder graph and a step graph."""
