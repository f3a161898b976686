"""The multisets of all slots of one aggregate, and their codec. Pure.

Kernels and the rule by which a large multiset becomes coarse: multisets.py. Tests: tests/streams/test_state.py.
"""

import numpy as np

from .buffers import Bytes, Float64s, Int32s, Int64s, Weights, grown
from .multisets import (
    COARSE_SHIFT,
    DISTINCT,
    ENTRIES_FREED,
    ENTRIES_USED,
    NEXT,
    QUANTILE,
    MultisetArrays,
    add_values,
    clear_slots,
    fill_entry_table,
    list_entries,
    merge_entries,
    read_entries,
    write_entries,
)

FIRST_ENTRIES = 1024
LARGEST = 2**63 - 1
__all__ = ["DISTINCT", "QUANTILE", "MultisetTable", "ordered_bits", "ordered_floats"]


def ordered_bits(values: Float64s) -> Int64s:
    """float64 as int64 in the same order; -0.0 becomes 0.0."""
    bits = (values + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ LARGEST, bits)


def ordered_floats(keys: Int64s) -> Float64s:
    """The reverse of ordered_bits."""
    return np.where(keys < 0, keys ^ LARGEST, keys).view(np.float64)


def bucket_floats(buckets: Int64s) -> Float64s:
    """The middle of each bucket of a coarse quantile; the two buckets about zero and the infinities stand for
    themselves.
    """
    lowest = ordered_floats(buckets << COARSE_SHIFT)
    middle = ordered_floats((buckets << COARSE_SHIFT) + (1 << (COARSE_SHIFT - 1)))
    middle = np.where((buckets == 0) | (buckets == -1), 0.0, middle)
    middle = np.where(np.isposinf(lowest), np.inf, middle)
    return np.where(np.isnan(middle), -np.inf, middle)


class MultisetTable:
    """A multiset of int64 keys a slot; `limit` distinct keys are exact."""

    def __init__(self, kind: int, limit: int, capacity: int) -> None:
        self.kind = kind
        self.limit = limit
        self._sets = _empty(FIRST_ENTRIES, capacity)

    def grow(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""
        sets = self._sets
        if capacity > sets.head.size:
            most = np.full(capacity, LARGEST, np.int64)
            most[: sets.most.size] = sets.most
            self._sets = sets._replace(
                head=grown(sets.head, capacity), size=grown(sets.size, capacity), coarse=grown(sets.coarse, capacity),
                most=most,
            )  # fmt: skip

    def add(self, rows: Int32s, slots: Int32s, values: Int64s, weights: Weights) -> None:
        """Adds values[row] to slots[i] for each pair (rows[i], slots[i]) whose weight is not 0."""
        self._sets.cursor[NEXT] = 0
        add_values(rows, slots, values, weights, self._sets, self.kind, self.limit)
        while self._sets.cursor[NEXT] < rows.size:
            self._grow_entries(1)
            add_values(rows, slots, values, weights, self._sets, self.kind, self.limit)

    def clear(self, slots: Int32s) -> None:
        clear_slots(slots, self._sets)

    def entries(self, slots: Int32s) -> tuple[Int64s, Int64s, Int64s, Bytes]:
        """Ends (n + 1), keys and counts in ascending order a slot, and the coarse flag of each slot."""
        ends = np.zeros(slots.size + 1, np.int64)
        np.cumsum(self._sets.size[slots], out=ends[1:])
        keys = np.empty(int(ends[-1]), np.int64)
        counts = np.empty(int(ends[-1]), np.int64)
        list_entries(slots, ends, keys, counts, self._sets)
        return ends, keys, counts, self._sets.coarse[slots]

    def encode(self, slots: Int32s) -> tuple[Int64s, Bytes]:
        """Offsets (n + 1) and bytes, one piece a slot; `merge` reads them."""
        ends, keys, counts, coarse = self.entries(slots)
        out = np.empty(slots.size + 20 * keys.size, np.uint8)
        offsets = np.zeros(slots.size + 1, np.int64)
        write_entries(ends, keys, counts, coarse, out, offsets)
        return offsets, out[: offsets[-1]].copy()

    def merge(self, slots: Int32s, offsets: Int64s, data: Bytes) -> None:
        """Adds encoded multisets to slots. Raises ValueError for bytes that `encode` did not write."""
        ends = np.zeros(slots.size + 1, np.int64)
        coarse = np.zeros(slots.size, np.uint8)
        keys = np.empty(data.size, np.int64)
        counts = np.empty(data.size, np.int64)
        fault = read_entries(offsets, data, coarse, ends, keys, counts)
        if fault >= 0:
            raise ValueError(f"multiset {fault} is damaged: its bytes end inside an entry")
        rule = np.array([self.kind, self.limit], np.int64)
        self._sets.cursor[NEXT] = 0
        merge_entries(slots, ends, keys, counts, coarse, self._sets, rule)
        while self._sets.cursor[NEXT] < slots.size:
            self._grow_entries(int(np.diff(ends).max()))
            merge_entries(slots, ends, keys, counts, coarse, self._sets, rule)

    def _grow_entries(self, needed: int) -> None:
        old = self._sets
        size = old.key.size
        used = int(old.cursor[ENTRIES_USED])
        live = np.zeros(max(used, 1), np.uint8)
        live[:used] = 1
        live[old.free[: old.cursor[ENTRIES_FREED]]] = 0
        while size < old.key.size + needed:
            size *= 2
        larger = _empty(size, 1)
        for name in ("slot", "key", "weight", "after", "free"):
            getattr(larger, name)[: old.key.size] = getattr(old, name)
        self._sets = larger._replace(head=old.head, size=old.size, coarse=old.coarse, most=old.most, cursor=old.cursor)
        fill_entry_table(self._sets, live)


def _empty(entries: int, slots: int) -> MultisetArrays:
    return MultisetArrays(
        np.zeros(entries, np.int32), np.zeros(entries, np.int64), np.zeros(entries, np.int64),
        np.zeros(entries, np.int32), np.zeros(4 * entries, np.int32), np.zeros(entries, np.int32),
        np.zeros(slots, np.int32), np.zeros(slots, np.int32), np.zeros(slots, np.uint8),
        np.full(slots, LARGEST, np.int64), np.zeros(3, np.int64),
    )  # fmt: skip
