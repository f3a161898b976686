"""Live (key, window) pairs as slots: the kernels that judge rows, find or add slots and remove them. Pure.

A row is late for a window when window end + grace <= the largest event time up to and including that row, as in Kafka
Streams' KStreamWindowAggregate; each window of a row is judged by itself, so results do not depend on batch borders.
Shell: slot_table.py. Tests: tests/streams/test_properties.py, and the goldens in tests/streams/test_goldens.py.
"""

from typing import NamedTuple

import numpy as np

from ...core.kernels.jit import as_int64, kernel
from .buffers import Bytes, Int32s, Int64s
from .pair_hash import pair_hash

U = np.uint64
FREE = -1
DIRTY, STORED = 1, 2
USED, FREED, TOUCHED, EPOCH = range(4)
STREAM_TIME, LATE, NULL_TIMES, UNUSABLE_TIMES, JUDGING = range(5)
NEXT_ROW, FILLED, LATE_ROWS = range(3)
SIZE, ADVANCE, GRACE, SPAN = range(4)
NULL_TIME = -(2**63)
# Later times (the year 287,000) are no times; sums of those below stay within 64 bits.
LAST_TIME = 2**53


class SlotArrays(NamedTuple):
    """key and start identify a slot (start -1: free); rows and latest count what fell in; table holds slots + 1."""

    key: Int32s
    start: Int64s
    rows: Int64s
    latest: Int64s
    mark: Int64s
    flags: Bytes
    table: Int32s
    free: Int32s
    touched: Int32s
    counts: Int64s


class Assigned(NamedTuple):
    """Pairs of (row, slot) in input order, rows late for at least one window, and how far the kernel came."""

    rows: Int32s
    slots: Int32s
    late: Int32s
    cursor: Int64s


@kernel
def find_slot(slots: SlotArrays, key: int, start: int) -> int:
    """The slot of (key, start), or -1."""
    mask = U(slots.table.size - 1)
    place = pair_hash(key, start) & mask
    while slots.table[place] != 0:
        slot = as_int64(slots.table[place] - 1)
        if slots.key[slot] == key and slots.start[slot] == start:
            return slot
        place = (place + U(1)) & mask
    return -1


@kernel
def add_slot(slots: SlotArrays, key: int, start: int) -> int:
    """A slot for (key, start), which has none; the caller has made sure that there is room."""
    mask = U(slots.table.size - 1)
    place = pair_hash(key, start) & mask
    while slots.table[place] != 0:
        place = (place + U(1)) & mask
    if slots.counts[FREED] > 0:
        slots.counts[FREED] -= 1
        slot = as_int64(slots.free[slots.counts[FREED]])
    else:
        slot = as_int64(slots.counts[USED])
        slots.counts[USED] += 1
    slots.table[place] = slot + 1
    slots.key[slot] = key
    slots.start[slot] = start
    slots.rows[slot] = 0
    slots.latest[slot] = -1
    slots.mark[slot] = -1
    slots.flags[slot] = 0
    return slot


@kernel
def touch(slots: SlotArrays, slot: int) -> None:
    """Marks a slot as changed since the last commit."""
    if slots.mark[slot] != slots.counts[EPOCH]:
        slots.mark[slot] = slots.counts[EPOCH]
        slots.touched[slots.counts[TOUCHED]] = slot
        slots.counts[TOUCHED] += 1
    slots.flags[slot] |= DIRTY


@kernel
def room(slots: SlotArrays) -> int:
    """How many slots may be added before the arrays must grow."""
    live = slots.counts[USED] - slots.counts[FREED]
    return as_int64(min(slots.key.size - live, slots.table.size // 2 - live))


@kernel
def assign_tumbling(
    keys: Int32s,
    times: Int64s,
    window: Int64s,
    slots: SlotArrays,
    clock: Int64s,
    assigned: Assigned,
    recent: Int32s,
) -> None:
    """As assign_rows, for windows side by side. recent: for each key the slot it was last found in, a guess that is
    checked.
    """
    size = as_int64(window[SIZE])
    closing = size + window[GRACE]
    judging = clock[JUDGING] == 1
    epoch = slots.counts[EPOCH]
    now = as_int64(clock[STREAM_TIME])
    filled = assigned.cursor[FILLED]
    start = as_int64(FREE)
    row = assigned.cursor[NEXT_ROW]
    while row < keys.size and filled < assigned.rows.size:
        time = as_int64(times[row])
        if time < 0 or time > LAST_TIME:
            clock[NULL_TIMES if time == NULL_TIME else UNUSABLE_TIMES] += 1
            row += 1
            continue
        now = max(now, time)
        if start < 0 or time < start or time >= start + size:
            start = time // size * size
        if judging and start + closing <= now:
            clock[LATE] += 1
            assigned.late[assigned.cursor[LATE_ROWS]] = row
            assigned.cursor[LATE_ROWS] += 1
            row += 1
            continue
        key = keys[row]
        slot = as_int64(recent[key])
        if slots.key[slot] != key or slots.start[slot] != start:
            slot = find_slot(slots, key, start)
            if slot < 0:
                if room(slots) < 1:
                    break
                slot = add_slot(slots, key, start)
            recent[key] = slot
        if slots.mark[slot] != epoch:
            touch(slots, slot)
        slots.flags[slot] |= DIRTY
        slots.rows[slot] += 1
        slots.latest[slot] = max(slots.latest[slot], time)
        assigned.rows[filled] = row
        assigned.slots[filled] = slot
        filled += 1
        row += 1
    clock[STREAM_TIME] = now
    assigned.cursor[FILLED] = filled
    assigned.cursor[NEXT_ROW] = row


@kernel
def assign_rows(
    keys: Int32s, times: Int64s, window: Int64s, slots: SlotArrays, clock: Int64s, assigned: Assigned
) -> None:
    """Judges and assigns rows from cursor[NEXT_ROW] on; stops early when `assigned` or `slots` has no room for one."""
    size = window[SIZE]
    advance = window[ADVANCE]
    for row in range(assigned.cursor[NEXT_ROW], keys.size):
        filled = assigned.cursor[FILLED]
        if filled + window[SPAN] > assigned.rows.size or room(slots) < window[SPAN]:
            assigned.cursor[NEXT_ROW] = row
            return
        time = times[row]
        if time < 0 or time > LAST_TIME:
            clock[NULL_TIMES if time == NULL_TIME else UNUSABLE_TIMES] += 1
            continue
        if time > clock[STREAM_TIME]:
            clock[STREAM_TIME] = time
        closed_until = clock[STREAM_TIME] - window[GRACE]
        late_before = clock[LATE]
        start = max(as_int64(0), time - size + advance) // advance * advance
        while start <= time:
            if clock[JUDGING] == 1 and start + size <= closed_until:
                clock[LATE] += 1
            else:
                slot = find_slot(slots, keys[row], start)
                if slot < 0:
                    slot = add_slot(slots, keys[row], start)
                touch(slots, slot)
                slots.rows[slot] += 1
                if time > slots.latest[slot]:
                    slots.latest[slot] = time
                assigned.rows[filled] = row
                assigned.slots[filled] = slot
                filled += 1
            start += advance
        assigned.cursor[FILLED] = filled
        if clock[LATE] > late_before:
            assigned.late[assigned.cursor[LATE_ROWS]] = row
            assigned.cursor[LATE_ROWS] += 1
    assigned.cursor[NEXT_ROW] = keys.size


@kernel
def assign_keys(keys: Int32s, times: Int64s, slots: SlotArrays, clock: Int64s, assigned: Assigned) -> None:
    """As assign_rows, where there is no window: one slot a key, and nothing is late."""
    for row in range(assigned.cursor[NEXT_ROW], keys.size):
        filled = assigned.cursor[FILLED]
        if filled >= assigned.rows.size or room(slots) < 1:
            assigned.cursor[NEXT_ROW] = row
            return
        slot = find_slot(slots, keys[row], 0)
        if slot < 0:
            slot = add_slot(slots, keys[row], 0)
        touch(slots, slot)
        slots.rows[slot] += 1
        slots.latest[slot] = max(slots.latest[slot], times[row])
        clock[STREAM_TIME] = max(clock[STREAM_TIME], times[row])
        assigned.rows[filled] = row
        assigned.slots[filled] = slot
        assigned.cursor[FILLED] = filled + 1
    assigned.cursor[NEXT_ROW] = keys.size


@kernel
def find_slots(keys: Int32s, starts: Int64s, adding: bool, slots: SlotArrays, found: Int32s, cursor: Int64s) -> None:
    """Sets found[row] from cursor[NEXT_ROW] on; an absent slot is added, or -1. Stops early when there is no room."""
    for row in range(cursor[NEXT_ROW], keys.size):
        slot = find_slot(slots, keys[row], starts[row])
        if slot < 0 and adding:
            if room(slots) < 1:
                cursor[NEXT_ROW] = row
                return
            slot = add_slot(slots, keys[row], starts[row])
        found[row] = slot
    cursor[NEXT_ROW] = keys.size


@kernel
def merge_rows(found: Int32s, rows: Int64s, latest: Int64s, slots: SlotArrays) -> None:
    """Adds partial counts to their slots and marks them as changed; found[i] -1 is passed over."""
    for index in range(found.size):
        slot = found[index]
        if slot >= 0:
            touch(slots, slot)
            slots.rows[slot] += rows[index]
            slots.latest[slot] = max(slots.latest[slot], latest[index])


@kernel
def remove_slots(gone: Int32s, slots: SlotArrays) -> None:
    """Frees slots, closing the gaps in the hash table so that every probe still finds its slot."""
    mask = U(slots.table.size - 1)
    for index in range(gone.size):
        slot = as_int64(gone[index])
        hole = pair_hash(slots.key[slot], slots.start[slot]) & mask
        while slots.table[hole] != slot + 1:
            hole = (hole + U(1)) & mask
        place = (hole + U(1)) & mask
        while slots.table[place] != 0:
            other = as_int64(slots.table[place] - 1)
            home = pair_hash(slots.key[other], slots.start[other]) & mask
            if ((place - home) & mask) >= ((place - hole) & mask):
                slots.table[hole] = slots.table[place]
                hole = place
            place = (place + U(1)) & mask
        slots.table[hole] = 0
        slots.start[slot] = FREE
        slots.free[slots.counts[FREED]] = slot
        slots.counts[FREED] += 1


@kernel
def fill_slot_table(slots: SlotArrays) -> None:
    """Fills an empty hash table with the live slots."""
    mask = U(slots.table.size - 1)
    for slot in range(slots.counts[USED]):
        if slots.start[slot] != FREE:
            place = pair_hash(slots.key[slot], slots.start[slot]) & mask
            while slots.table[place] != 0:
                place = (place + U(1)) & mask
            slots.table[place] = slot + 1
