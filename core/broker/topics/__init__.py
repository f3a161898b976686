"""Topics: their metadata and their logs."""
