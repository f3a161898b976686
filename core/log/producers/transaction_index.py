"""Aborted transactions of a segment: the entries of a .txnindex file. Pure.

Source: AbortedTxn and TransactionIndex of Kafka 4.3.1. Tested in tests/core/log/test_transaction_index.py.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

ENTRY = struct.Struct(">hqqqq")
VERSION = 0


class AbortedTransaction(NamedTuple):
    """A producer's records from first_offset up to last_offset, its marker, are aborted.

    last_stable_offset: that of the log once the marker was written; no abort noted later reaches below it.
    """

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


def encode_entries(entries: Iterable[AbortedTransaction]) -> bytes:
    return b"".join(ENTRY.pack(VERSION, *entry) for entry in entries)


def decode_entries(data: bytes, *, base_offset: int) -> list[AbortedTransaction]:
    """Entries of a whole file. Raises ValueError when it is none, or belongs to a segment before base_offset."""
    if len(data) % ENTRY.size:
        raise ValueError(f"{len(data)} bytes are no whole number of entries of {ENTRY.size}")
    entries = []
    for version, *fields in ENTRY.iter_unpack(data):
        entry = AbortedTransaction(*fields)
        if version != VERSION or entry.first_offset > entry.last_offset or entry.last_offset < base_offset:
            raise ValueError(f"entry {entry} of version {version} in a segment from {base_offset}")
        entries.append(entry)
    return entries


def overlapping(
    segments: Iterable[Iterable[AbortedTransaction]], *, from_offset: int, upper_offset: int
) -> list[AbortedTransaction]:
    """Aborted transactions with records in [from_offset, upper_offset).

    segments: the entries of each segment, from the one that holds from_offset on; later ones are not asked for once an
    entry says that no later abort can reach back to what was read.
    """
    found = []
    for entries in segments:
        for entry in entries:
            if entry.last_offset >= from_offset and entry.first_offset < upper_offset:
                found.append(entry)
            if entry.last_stable_offset >= upper_offset:
                return found
    return found
