"""The way of a summary: what is wished for, what is read, the parts that are written, and the journey through them."""
