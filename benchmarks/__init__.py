"""Load and ceiling measurements; `make bench` runs them all."""
