"""The HTTP face: one module for each group of routes, the schemas, and the guard in front of them."""
