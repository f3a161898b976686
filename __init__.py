"""Millstream: connectors, stream processing and a commit log in one Python process, on Kafka's own protocol."""

__version__ = "0.1.0"
