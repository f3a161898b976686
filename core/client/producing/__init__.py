"""Writing: batches, sequences, transactions."""
