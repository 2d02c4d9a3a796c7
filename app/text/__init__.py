"""What is done to a caller's text before any model sees it: its language, its sentences."""
