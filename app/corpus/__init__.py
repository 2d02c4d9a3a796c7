"""Files of texts, scored offline: read in blocks, answered as a stream is, written in parts that survive a kill."""
