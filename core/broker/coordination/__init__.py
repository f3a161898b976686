"""The shells of the coordinators: groups, offsets and transactions, kept in internal topics."""
