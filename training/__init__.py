"""Labelled text to model package: config, data, tokenizer, batches, models, loop, evaluate, export, pack."""
