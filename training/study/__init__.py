"""Studies: many small runs side by side, to say what a setting is worth (`compare`) or to find good ones (`search`)."""
