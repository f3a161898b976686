"""Cleaning compacted logs."""
