"""What the network has to beat: a module for each kind; `protocol` is what they share, `measure` runs them all."""
