"""A user's own labelled table to a served package: read, check, split, and the run that its size asks for."""
