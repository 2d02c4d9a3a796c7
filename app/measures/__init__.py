"""The metrics by what they tell of: requests, batches, summaries, versions. ``app.metrics`` puts them together."""
