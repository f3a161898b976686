"""Values of records to columns and back: which converter a config means."""
