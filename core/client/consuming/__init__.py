"""Reading: positions, fetches, decoding, committed offsets."""
