"""Segments: files, indexes, and finding things in them."""
