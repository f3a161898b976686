"""Connections to brokers, over TCP or inside the process."""
