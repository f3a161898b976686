"""Kernels for one multiset of 64-bit keys a slot: exact while small, then coarse by a rule of the multiset alone. Pure.

QUANTILE: past `limit` distinct keys, keys are cut to their leading bits (128 buckets for each power of two).
DISTINCT: past `limit` keys, the smaller half of the keys is kept, a k-minimum-values sketch of their hashes.
What a multiset holds depends on its values only, never on their order or batches. Shell: multiset_table.py.
Tests: tests/streams/test_state.py.
"""

from typing import NamedTuple

import numpy as np

from ...core.kernels.jit import as_int64, kernel
from .buffers import Bytes, Int32s, Int64s, Weights
from .pair_hash import pair_hash

U = np.uint64
QUANTILE, DISTINCT = 0, 1
COARSE_SHIFT = 45
ENTRIES_USED, ENTRIES_FREED, NEXT = range(3)


class MultisetArrays(NamedTuple):
    """Entries chained a slot: head and after hold entry + 1, 0 at the end; table holds entry + 1, 0 where free."""

    slot: Int32s
    key: Int64s
    weight: Int64s
    after: Int32s
    table: Int32s
    free: Int32s
    head: Int32s
    size: Int32s
    coarse: Bytes
    most: Int64s
    cursor: Int64s


@kernel
def add_entry(sets: MultisetArrays, slot: int, key: int, weight: int) -> None:
    """Adds `weight` to the count of a key; the caller has made sure that there is room for one entry."""
    mask = U(sets.table.size - 1)
    place = pair_hash(slot, key) & mask
    while sets.table[place] != 0:
        entry = as_int64(sets.table[place] - 1)
        if sets.slot[entry] == slot and sets.key[entry] == key:
            sets.weight[entry] += weight
            return
        place = (place + U(1)) & mask
    if sets.cursor[ENTRIES_FREED] > 0:
        sets.cursor[ENTRIES_FREED] -= 1
        entry = as_int64(sets.free[sets.cursor[ENTRIES_FREED]])
    else:
        entry = sets.cursor[ENTRIES_USED]
        sets.cursor[ENTRIES_USED] += 1
    sets.table[place] = entry + 1
    sets.slot[entry] = slot
    sets.key[entry] = key
    sets.weight[entry] = weight
    sets.after[entry] = sets.head[slot]
    sets.head[slot] = entry + 1
    sets.size[slot] += 1


@kernel
def drop_from_table(sets: MultisetArrays, entry: int) -> None:
    """Takes an entry out of the hash table and closes the gap; its chain is the caller's concern."""
    mask = U(sets.table.size - 1)
    hole = pair_hash(sets.slot[entry], sets.key[entry]) & mask
    while sets.table[hole] != entry + 1:
        hole = (hole + U(1)) & mask
    place = (hole + U(1)) & mask
    while sets.table[place] != 0:
        other = as_int64(sets.table[place] - 1)
        home = pair_hash(sets.slot[other], sets.key[other]) & mask
        if ((place - home) & mask) >= ((place - hole) & mask):
            sets.table[hole] = sets.table[place]
            hole = place
        place = (place + U(1)) & mask
    sets.table[hole] = 0
    sets.free[sets.cursor[ENTRIES_FREED]] = entry
    sets.cursor[ENTRIES_FREED] += 1


@kernel
def take_all(sets: MultisetArrays, slot: int, keys: Int64s, counts: Int64s) -> None:
    """Moves the entries of a slot into `keys` and `counts`, leaving the slot empty."""
    entry = as_int64(sets.head[slot])
    index = 0
    while entry > 0:
        keys[index] = sets.key[entry - 1]
        counts[index] = sets.weight[entry - 1]
        index += 1
        drop_from_table(sets, entry - 1)
        entry = as_int64(sets.after[entry - 1])
    sets.head[slot] = 0
    sets.size[slot] = 0


@kernel
def coarsen(sets: MultisetArrays, slot: int, kind: int, limit: int) -> None:
    """Makes the multiset of a slot coarse, or cuts a coarse set of hashes to its smaller half again."""
    size = as_int64(sets.size[slot])
    keys = np.empty(size, np.int64)
    counts = np.empty(size, np.int64)
    take_all(sets, slot, keys, counts)
    sets.coarse[slot] = 1
    if kind == QUANTILE:
        for index in range(size):
            add_entry(sets, slot, as_int64(keys[index] >> COARSE_SHIFT), as_int64(counts[index]))
        return
    most = as_int64(np.sort(keys)[limit // 2 - 1] if size > limit else sets.most[slot])
    sets.most[slot] = most
    for index in range(size):
        if keys[index] <= most:
            add_entry(sets, slot, as_int64(keys[index]), as_int64(counts[index]))


@kernel
def add_values(
    rows: Int32s, slots: Int32s, values: Int64s, weights: Weights, sets: MultisetArrays, kind: int, limit: int
) -> None:
    """Adds values[row] to the slot of each pair from cursor[NEXT] on; stops early when there is no room for one."""
    for index in range(sets.cursor[NEXT], rows.size):
        row = rows[index]
        weight = as_int64(1) if weights.size == 0 else as_int64(weights[row])
        if weight == 0:
            continue
        live = sets.cursor[ENTRIES_USED] - sets.cursor[ENTRIES_FREED]
        if live + 1 > sets.key.size or 2 * (live + 1) > sets.table.size:
            sets.cursor[NEXT] = index
            return
        slot = as_int64(slots[index])
        key = as_int64(values[row])
        if sets.coarse[slot] == 1:
            if kind == QUANTILE:
                key = key >> COARSE_SHIFT
            elif key > sets.most[slot]:
                continue
        add_entry(sets, slot, key, weight)
        if sets.size[slot] > limit and (kind == DISTINCT or sets.coarse[slot] == 0):
            coarsen(sets, slot, kind, limit)
    sets.cursor[NEXT] = rows.size


@kernel
def merge_entries(
    slots: Int32s, ends: Int64s, keys: Int64s, counts: Int64s, coarse: Bytes, sets: MultisetArrays,
    rule: Int64s,
) -> None:  # fmt: skip
    """Adds entries ends[i]:ends[i + 1] to slots[i], from cursor[NEXT] on; rule: kind, limit. Stops early as above."""
    kind = as_int64(rule[0])
    limit = as_int64(rule[1])
    for index in range(sets.cursor[NEXT], slots.size):
        slot = as_int64(slots[index])
        live = sets.cursor[ENTRIES_USED] - sets.cursor[ENTRIES_FREED]
        needed = ends[index + 1] - ends[index]
        if live + needed > sets.key.size or 2 * (live + needed) > sets.table.size:
            sets.cursor[NEXT] = index
            return
        if coarse[index] == 1 and sets.coarse[slot] == 0:
            coarsen(sets, slot, kind, limit)
        for at in range(ends[index], ends[index + 1]):
            key = as_int64(keys[at])
            if sets.coarse[slot] == 1:
                if kind == QUANTILE:
                    key = key if coarse[index] == 1 else key >> COARSE_SHIFT
                elif key > sets.most[slot]:
                    continue
            add_entry(sets, slot, key, as_int64(counts[at]))
            if sets.size[slot] > limit and (kind == DISTINCT or sets.coarse[slot] == 0):
                coarsen(sets, slot, kind, limit)
    sets.cursor[NEXT] = slots.size


@kernel
def list_entries(slots: Int32s, ends: Int64s, keys: Int64s, counts: Int64s, sets: MultisetArrays) -> None:
    """Copies the entries of each slot to ends[i]:ends[i + 1], in ascending order of key."""
    for index in range(slots.size):
        first = ends[index]
        at = first
        entry = as_int64(sets.head[slots[index]])
        while entry > 0:
            keys[at] = sets.key[entry - 1]
            counts[at] = sets.weight[entry - 1]
            at += 1
            entry = as_int64(sets.after[entry - 1])
        order = np.argsort(keys[first:at])
        keys[first:at] = keys[first:at][order]
        counts[first:at] = counts[first:at][order]


@kernel
def clear_slots(slots: Int32s, sets: MultisetArrays) -> None:
    """Empties the multisets of these slots."""
    for index in range(slots.size):
        slot = as_int64(slots[index])
        entry = as_int64(sets.head[slot])
        while entry > 0:
            drop_from_table(sets, entry - 1)
            entry = as_int64(sets.after[entry - 1])
        sets.head[slot] = 0
        sets.size[slot] = 0
        sets.coarse[slot] = 0
        sets.most[slot] = 2**63 - 1


@kernel
def fill_entry_table(sets: MultisetArrays, live: Bytes) -> None:
    """Fills an empty hash table with the entries that are marked live."""
    mask = U(sets.table.size - 1)
    for entry in range(sets.cursor[ENTRIES_USED]):
        if live[entry] == 1:
            place = pair_hash(sets.slot[entry], sets.key[entry]) & mask
            while sets.table[place] != 0:
                place = (place + U(1)) & mask
            sets.table[place] = entry + 1


@kernel
def write_entries(ends: Int64s, keys: Int64s, counts: Int64s, coarse: Bytes, out: Bytes, at_ends: Int64s) -> None:
    """Each slot as bytes: coarse flag, then for each entry the step from the key before and the count, as varints."""
    at = 0
    for index in range(coarse.size):
        out[at] = coarse[index]
        at += 1
        before = U(0)
        for entry in range(ends[index], ends[index + 1]):
            for word in (U(keys[entry]) - before, U(counts[entry])):
                while word >= U(128):
                    out[at] = (word & U(127)) | U(128)
                    word >>= U(7)
                    at += 1
                out[at] = word
                at += 1
            before = U(keys[entry])
        at_ends[index + 1] = at


@kernel
def read_entries(offsets: Int64s, data: Bytes, coarse: Bytes, ends: Int64s, keys: Int64s, counts: Int64s) -> int:
    """What `write_entries` wrote; keys and counts have room for all bytes. Returns the row that is damaged, or -1."""
    filled = 0
    for row in range(coarse.size):
        at = offsets[row]
        end = offsets[row + 1]
        if at >= end or data[at] > 1:
            return row
        coarse[row] = data[at]
        at += 1
        key = U(0)
        while at < end:
            for part in range(2):
                word = U(0)
                shift = U(0)
                while True:
                    if at >= end or shift > U(63):
                        return row
                    byte = U(data[at])
                    at += 1
                    word |= (byte & U(127)) << shift
                    shift += U(7)
                    if byte < U(128):
                        break
                if part == 0:
                    key += word
                else:
                    keys[filled] = as_int64(key)
                    counts[filled] = as_int64(word)
                    filled += 1
        ends[row + 1] = filled
    return -1
