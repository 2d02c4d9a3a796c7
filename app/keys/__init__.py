"""API keys: who may ask for what."""
