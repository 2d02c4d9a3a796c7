"""Summarizers that quote: from documents and their summaries to a package of one graph."""
