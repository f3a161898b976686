"""The last offset of each key, in a table of a size that is fixed beforehand. Pure.

As in Kafka an entry takes 24 bytes whatever its key: 16 for the key, which is hashed when it is longer than 15 bytes,
and 8 for the offset. What does not fit waits for the next pass of the cleaner.
Source: SkimpyOffsetMap of Kafka 4.3.1. Tested in tests/core/log/test_key_offsets.py.
"""

import struct
from hashlib import blake2b

ENTRY = struct.Struct("=16sq")
EMPTY = bytes(16)
SHORT_KEY_BYTES = 15
LENGTHS = tuple(bytes([length + 1]) for length in range(SHORT_KEY_BYTES + 1))


class KeyOffsets:
    """A hash table with open addressing in one buffer. latest_offset: everything up to it has been looked at."""

    def __init__(self, memory_bytes: int, *, load_factor: float = 0.9) -> None:
        self._slots = max(memory_bytes // ENTRY.size, 2)
        self._capacity = max(int(self._slots * load_factor), 1)
        self._table = bytearray(self._slots * ENTRY.size)
        self._count = 0
        self.latest_offset = -1

    def __len__(self) -> int:
        return self._count

    @property
    def capacity(self) -> int:
        """Keys that fit."""
        return self._capacity

    def put(self, key: bytes, offset: int) -> bool:
        """Note that `key` was last seen at `offset`; False when a new key does not fit any more."""
        name = _name_of(key)
        at = self._find(name)
        if not self._table.startswith(name, at):
            if self._count >= self._capacity:
                return False
            self._count += 1
        ENTRY.pack_into(self._table, at, name, offset)
        return True

    def get(self, key: bytes) -> int:
        """The offset noted last, -1 when there is none."""
        name = _name_of(key)
        found, offset = ENTRY.unpack_from(self._table, hash(name) % self._slots * ENTRY.size)
        if found != name:
            found, offset = ENTRY.unpack_from(self._table, self._find(name))
        return -1 if found == EMPTY else offset

    def _find(self, name: bytes) -> int:
        """Position of the entry with that name, or of the free one where it belongs."""
        table, size = self._table, len(self._table)
        at = hash(name) % self._slots * ENTRY.size
        while not (table.startswith(name, at) or table.startswith(EMPTY, at)):
            at += ENTRY.size
            if at == size:
                at = 0
        return at


def _name_of(key: bytes) -> bytes:
    """16 bytes that stand for a key: itself with its length when it is short; never those of a free entry."""
    if len(key) <= SHORT_KEY_BYTES:
        return key.ljust(SHORT_KEY_BYTES, b"\0") + LENGTHS[len(key)]
    return blake2b(key, digest_size=16).digest()
