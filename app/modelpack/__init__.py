"""The model package: the contract between training, which writes it, and serving, which reads it."""
