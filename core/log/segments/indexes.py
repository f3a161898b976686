"""The sparse indexes of one segment: offset to position, timestamp to offset. Pure; shell: segment.py.

Only hints: whoever follows an entry checks the batch that it leads to. Offsets are relative to the segment's first.
Source: OffsetIndex and TimeIndex of Kafka 4.3.1. Tested in tests/core/log/test_indexes.py.
"""

import struct
from array import array
from bisect import bisect_left, bisect_right

OFFSET_ENTRY = struct.Struct(">Ii")
TIME_ENTRY = struct.Struct(">qI")


class OffsetIndex:
    """Last offsets of some batches, and the positions at which those batches begin."""

    def __init__(self) -> None:
        self._offsets = array("I")
        self._positions = array("I")

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def last(self) -> tuple[int, int]:
        """The last entry, (-1, 0) when there is none."""
        return (self._offsets[-1], self._positions[-1]) if self._offsets else (-1, 0)

    def add(self, relative_offset: int, position: int) -> None:
        self._offsets.append(relative_offset)
        self._positions.append(position)

    def before(self, relative_offset: int) -> tuple[int, int]:
        """The last entry with a smaller offset, (-1, 0) when there is none."""
        index = bisect_left(self._offsets, relative_offset) - 1
        return (self._offsets[index], self._positions[index]) if index >= 0 else (-1, 0)

    def last_position(self, relative_offset: int, position: int) -> int:
        """The largest position, at most `position`, at which a batch begins whose offsets are smaller; 0 when none is
        known."""
        index = min(bisect_left(self._offsets, relative_offset), bisect_right(self._positions, position)) - 1
        return self._positions[index] if index >= 0 else 0

    def cut_behind(self, relative_offset: int) -> None:
        """Forget the entries with a larger offset."""
        count = bisect_right(self._offsets, relative_offset)
        del self._offsets[count:], self._positions[count:]

    def encode(self, from_entry: int = 0) -> bytes:
        """The entries from that one on, as they stand in the file."""
        end = len(self._positions)  # Another thread may just be adding one: what it adds last counts.
        pairs = zip(self._offsets[from_entry:end], self._positions[from_entry:end], strict=True)
        return b"".join(OFFSET_ENTRY.pack(offset, position) for offset, position in pairs)

    @classmethod
    def decode(cls, data: bytes, *, log_bytes: int) -> "OffsetIndex":
        """The index of a segment with so many bytes; zeros behind its entries are ignored, as Kafka leaves them.

        Raises ValueError when entries do not rise or point outside of the segment.
        """
        index = cls()
        before = (-1, 0)
        for entry in OFFSET_ENTRY.iter_unpack(data[: len(data) // OFFSET_ENTRY.size * OFFSET_ENTRY.size]):
            if entry == (0, 0):
                break
            if entry[0] <= before[0] or not before[1] < entry[1] < log_bytes:
                raise ValueError(f"offset index entry {entry} after {before} in a segment of {log_bytes} bytes")
            index.add(*entry)
            before = entry
        return index


class TimeIndex:
    """The largest timestamp seen up to some offsets, in ms."""

    def __init__(self) -> None:
        self._timestamps = array("q")
        self._offsets = array("I")

    def __len__(self) -> int:
        return len(self._timestamps)

    @property
    def last(self) -> tuple[int, int]:
        """The last timestamp with its offset, (-1, 0) when there is none."""
        return (self._timestamps[-1], self._offsets[-1]) if self._timestamps else (-1, 0)

    def add(self, timestamp_ms: int, relative_offset: int) -> None:
        """Add an entry, unless time has not moved on since the last one."""
        if timestamp_ms > self.last[0]:
            self._timestamps.append(timestamp_ms)
            self._offsets.append(relative_offset)

    def before(self, timestamp_ms: int) -> int:
        """A relative offset up to which all timestamps are smaller than `timestamp_ms`; 0 when none is known."""
        index = bisect_left(self._timestamps, timestamp_ms) - 1
        return self._offsets[index] if index >= 0 else 0

    def cut_behind(self, relative_offset: int) -> None:
        """Forget the entries with a larger offset."""
        count = bisect_right(self._offsets, relative_offset)
        del self._timestamps[count:], self._offsets[count:]

    def encode(self, from_entry: int = 0) -> bytes:
        """The entries from that one on, as they stand in the file."""
        end = len(self._offsets)
        pairs = zip(self._timestamps[from_entry:end], self._offsets[from_entry:end], strict=True)
        return b"".join(TIME_ENTRY.pack(timestamp_ms, offset) for timestamp_ms, offset in pairs)

    @classmethod
    def decode(cls, data: bytes) -> "TimeIndex":
        """The index; zeros behind its entries are ignored. Raises ValueError when timestamps or offsets do not rise."""
        index = cls()
        before = (-1, -1)
        for entry in TIME_ENTRY.iter_unpack(data[: len(data) // TIME_ENTRY.size * TIME_ENTRY.size]):
            if entry == (0, 0):
                break
            if entry[0] <= before[0] or entry[1] < before[1]:
                raise ValueError(f"time index entry {entry} after {before}")
            index.add(*entry)
            before = entry
        return index
