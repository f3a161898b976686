"""The live (key, window) pairs of one store, with stream time and what was dropped. Pure.

Grows by doubling; a freed slot is used again. Kernels: slots.py. Tests: tests/streams/test_properties.py.
"""

from collections.abc import Iterator

import numpy as np

from .buffers import Int32s, Int64s, grown
from .slots import (
    ADVANCE,
    EPOCH,
    FILLED,
    FREE,
    GRACE,
    JUDGING,
    LATE,
    LATE_ROWS,
    NEXT_ROW,
    NULL_TIMES,
    SIZE,
    SPAN,
    STORED,
    STREAM_TIME,
    TOUCHED,
    UNUSABLE_TIMES,
    USED,
    Assigned,
    SlotArrays,
    assign_keys,
    assign_rows,
    assign_tumbling,
    fill_slot_table,
    find_slots,
    merge_rows,
    remove_slots,
)

FIRST_SLOTS = 1024
PAIRS_AT_ONCE = 1 << 17
NO_TIME = -1


class SlotTable:
    """Slots and their clock. `size_ms` None: one slot a key, without windows."""

    def __init__(self, size_ms: int | None, advance_ms: int, grace_ms: int, *, judging: bool) -> None:
        """judging: whether rows may be late; off in bounded runs and where partial aggregates are merged."""
        self.size_ms = size_ms
        span = 1 if size_ms is None else -(-size_ms // advance_ms)
        self._window = np.array([size_ms or 0, advance_ms, grace_ms, span], np.int64)
        self.clock = np.zeros(5, np.int64)
        self.clock[STREAM_TIME] = NO_TIME
        self.clock[JUDGING] = judging
        self.slots = _empty_slots(FIRST_SLOTS)
        self._recent = np.zeros(FIRST_SLOTS, np.int32)

    @property
    def capacity(self) -> int:
        return self.slots.key.size

    @property
    def stream_time_ms(self) -> int:
        """The largest event time seen, -1 before the first."""
        return int(self.clock[STREAM_TIME])

    @stream_time_ms.setter
    def stream_time_ms(self, value: int) -> None:
        self.clock[STREAM_TIME] = value

    @property
    def dropped(self) -> dict[str, int]:
        """How many (row, window) pairs were late, how many rows had no time, or one below 0 or beyond all clocks."""
        return {
            "late": int(self.clock[LATE]),
            "null_time": int(self.clock[NULL_TIMES]),
            "unusable_time": int(self.clock[UNUSABLE_TIMES]),
        }

    def assign(self, keys: Int32s, times: Int64s, key_count: int) -> Iterator[tuple[Int32s, Int32s, Int32s]]:
        """Yields (rows, slots, late rows) for consecutive parts of the input; pairs are in input order.

        keys: ids below key_count.
        """
        if key_count > self._recent.size:
            self._recent = grown(self._recent, 2 * key_count)
        room_for = max(min(PAIRS_AT_ONCE, keys.size * int(self._window[SPAN])), int(self._window[SPAN]))
        assigned = Assigned(
            np.empty(room_for, np.int32), np.empty(room_for, np.int32), np.empty(keys.size, np.int32),
            np.zeros(3, np.int64),
        )  # fmt: skip
        while assigned.cursor[NEXT_ROW] < keys.size:
            before = int(assigned.cursor[NEXT_ROW])
            if self.size_ms is None:
                assign_keys(keys, times, self.slots, self.clock, assigned)
            elif self._window[SIZE] == self._window[ADVANCE]:
                assign_tumbling(keys, times, self._window, self.slots, self.clock, assigned, self._recent)
            else:
                assign_rows(keys, times, self._window, self.slots, self.clock, assigned)
            filled, late = int(assigned.cursor[FILLED]), int(assigned.cursor[LATE_ROWS])
            if filled or late:
                yield assigned.rows[:filled], assigned.slots[:filled], assigned.late[:late]
            if before < keys.size and assigned.cursor[NEXT_ROW] == before and not filled:
                self._grow()
            assigned.cursor[FILLED] = assigned.cursor[LATE_ROWS] = 0

    def find(self, keys: Int32s, starts: Int64s, *, adding: bool) -> Int32s:
        """The slot of each (key, window start); -1 where there is none and none is added."""
        found = np.empty(keys.size, np.int32)
        cursor = np.zeros(1, np.int64)
        find_slots(keys, starts, adding, self.slots, found, cursor)
        while cursor[0] < keys.size:
            self._grow()
            find_slots(keys, starts, adding, self.slots, found, cursor)
        return found

    def merge(self, found: Int32s, rows: Int64s, latest: Int64s) -> None:
        """Adds partial row counts and latest times to slots, and marks these as changed."""
        merge_rows(found, rows, latest, self.slots)

    def touched(self) -> Int32s:
        """Slots changed since the last `next_epoch`, in the order of their first change."""
        return self.slots.touched[: self.slots.counts[TOUCHED]].copy()

    def next_epoch(self) -> None:
        self.slots.counts[EPOCH] += 1
        self.slots.counts[TOUCHED] = 0

    def live(self) -> Int32s:
        return np.flatnonzero(self.slots.start[: self.slots.counts[USED]] != FREE).astype(np.int32)

    def closed(self, *, finishing: bool) -> Int32s:
        """Live slots whose window end + grace stream time has reached; none in a bounded run that goes on."""
        if self.size_ms is None or not (self.clock[JUDGING] or finishing):
            return np.zeros(0, np.int32)
        starts = self.slots.start[: self.slots.counts[USED]]
        limit = self.stream_time_ms - self.size_ms - int(self._window[GRACE])
        return np.flatnonzero((starts != FREE) & (starts <= limit)).astype(np.int32)

    def late(self, starts: Int64s) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which windows are closed already, for partial aggregates that come after their time."""
        if self.size_ms is None or not self.clock[JUDGING]:
            return np.zeros(starts.size, np.bool_)
        return np.asarray(starts + self.size_ms + int(self._window[GRACE]) <= self.stream_time_ms)

    def remove(self, gone: Int32s) -> None:
        remove_slots(gone, self.slots)

    def rename_keys(self, renamed: Int32s) -> None:
        """After the key table was rebuilt: every live slot gets its key's new id."""
        used = int(self.slots.counts[USED])
        live = self.live()
        self.slots.key[live] = renamed[self.slots.key[live]]
        assert used == 0 or int(self.slots.key[live].min(initial=0)) >= 0
        self._recent[:] = 0
        self.slots.table[:] = 0
        fill_slot_table(self.slots)

    def mark_stored(self, slots: Int32s) -> None:
        self.slots.flags[slots] |= STORED

    def _grow(self) -> None:
        old = self.slots
        larger = _empty_slots(2 * old.key.size)
        for name in ("key", "start", "rows", "latest", "mark", "flags", "free", "touched"):
            array = getattr(old, name)
            getattr(larger, name)[: array.size] = array
        larger.counts[:] = old.counts
        fill_slot_table(larger)
        self.slots = larger


def _empty_slots(size: int) -> SlotArrays:
    integers = [np.zeros(size, np.int64) for _ in range(4)]
    integers[0][:] = FREE
    return SlotArrays(
        np.zeros(size, np.int32), integers[0], integers[1], integers[2], integers[3], np.zeros(size, np.uint8),
        np.zeros(4 * size, np.int32), np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(4, np.int64),
    )  # fmt: skip
