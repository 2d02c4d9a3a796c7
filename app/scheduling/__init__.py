"""Who runs with whom, and when."""
