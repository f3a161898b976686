"""Produce and fetch: checks, appends, reads, and those who wait."""
