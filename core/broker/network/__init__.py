"""Sockets, connections and frames."""
