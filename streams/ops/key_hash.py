"""Row hashes over several columns, the probe of a hash table, and the comparison with stored row keys. Pure.

Indices are unsigned, so that eight byte reads become one load. Hashes are seeded per table and never stored on disk.
Source of the stored layout: ops/row_keys.py. Tests: tests/streams/test_state.py.
"""

import numpy as np

from ...core.kernels.jit import kernel
from .buffers import Bytes, Ends, Int32s, Int64s, UInt64s
from .row_keys import FIXED_BYTES, LENGTH_BYTES

U = np.uint64


@kernel
def load8(data: Bytes, at: np.uint64) -> np.uint64:
    """Eight bytes, little-endian."""
    return (
        U(data[at])
        | U(data[at + U(1)]) << U(8)
        | U(data[at + U(2)]) << U(16)
        | U(data[at + U(3)]) << U(24)
        | U(data[at + U(4)]) << U(32)
        | U(data[at + U(5)]) << U(40)
        | U(data[at + U(6)]) << U(48)
        | U(data[at + U(7)]) << U(56)
    )


@kernel
def load4(data: Bytes, at: np.uint64) -> np.uint64:
    """Four bytes, little-endian."""
    return U(data[at]) | U(data[at + U(1)]) << U(8) | U(data[at + U(2)]) << U(16) | U(data[at + U(3)]) << U(24)


@kernel
def equal_bytes(left: Bytes, at: np.uint64, right: Bytes, start: np.uint64, length: np.uint64) -> bool:
    """Whether `length` bytes from `at` and from `start` on are the same; reads no byte beyond them."""
    if length >= U(8):
        done = U(0)
        while done + U(8) < length:
            if load8(left, at + done) != load8(right, start + done):
                return False
            done += U(8)
        done = length - U(8)
        return bool(load8(left, at + done) == load8(right, start + done))
    if length >= U(4):
        rest = length - U(4)
        if load4(left, at) != load4(right, start):
            return False
        return bool(load4(left, at + rest) == load4(right, start + rest))
    for index in range(length):  # noqa: SIM110 - all() over a generator does not compile
        if left[at + U(index)] != right[start + U(index)]:
            return False
    return True


@kernel
def hash_text(offsets: Ends, data: Bytes, valid: Bytes, hashes: UInt64s) -> None:
    """Mixes the bytes of each row into its hash."""
    for row in range(hashes.size):
        mixed = hashes[row]
        start = U(offsets[row])
        end = U(offsets[row + 1])
        length = end - start
        if valid.size > 0 and valid[row] == 0:
            hashes[row] = (mixed ^ U(0xD6E8FEB86659FD93)) * U(0xFF51AFD7ED558CCD)
            continue
        mixed = (mixed + length + U(1)) * U(0x9E3779B97F4A7C15)
        if length >= U(8):
            at = start
            while at + U(8) < end:
                mixed = (mixed ^ load8(data, at)) * U(0xBF58476D1CE4E5B9)
                mixed ^= mixed >> U(29)
                at += U(8)
            word = load8(data, end - U(8))
        elif length >= U(4):
            word = load4(data, start) | load4(data, end - U(4)) << U(32)
        elif length > U(0):
            word = U(data[start]) | U(data[start + (length >> U(1))]) << U(8) | U(data[end - U(1)]) << U(16)
        else:
            word = U(0)
        mixed = (mixed ^ word) * U(0x94D049BB133111EB)
        hashes[row] = mixed ^ mixed >> U(32)


@kernel
def hash_fixed(values: Int64s, valid: Bytes, hashes: UInt64s) -> None:
    """Mixes the value of each row into its hash."""
    for row in range(hashes.size):
        mixed = hashes[row]
        if valid.size > 0 and valid[row] == 0:
            hashes[row] = (mixed ^ U(0xD6E8FEB86659FD93)) * U(0xFF51AFD7ED558CCD)
            continue
        mixed = (mixed + U(9)) * U(0x9E3779B97F4A7C15)
        mixed = (mixed ^ U(values[row])) * U(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> U(29)
        mixed *= U(0x94D049BB133111EB)
        hashes[row] = mixed ^ mixed >> U(32)


@kernel
def find_or_add(hashes: UInt64s, ids: Int32s, table: Int32s, known: UInt64s, cursor: Int64s, new_rows: Int64s) -> None:
    """Sets ids[row] from row cursor[0] on, a new id for a hash not seen before; stops when `known` or `table` is full.

    cursor: next row, ids in use, new rows listed. table holds ids + 1, 0 where free.
    """
    mask = U(table.size - 1)
    for row in range(cursor[0], ids.size):
        mixed = hashes[row]
        place = mixed & mask
        while table[place] != 0 and known[table[place] - 1] != mixed:
            place = (place + U(1)) & mask
        if table[place] == 0:
            count = cursor[1]
            if count >= known.size or 2 * (count + 1) > table.size:
                cursor[0] = row
                return
            known[count] = mixed
            table[place] = count + 1
            new_rows[cursor[2]] = row
            cursor[1] = count + 1
            cursor[2] += 1
        ids[row] = table[place] - 1
    cursor[0] = ids.size


@kernel
def fill_table(table: Int32s, known: UInt64s, count: int) -> None:
    """Fills an empty table with the ids below `count`."""
    mask = U(table.size - 1)
    for key in range(count):
        place = known[key] & mask
        while table[place] != 0:
            place = (place + U(1)) & mask
        table[place] = key + 1


@kernel
def compare_text(offsets: Ends, data: Bytes, valid: Bytes, cursor: Int64s, arena: Bytes, same: Bytes) -> None:
    """Clears same[row] where the stored key at cursor[row] holds another value; moves the cursor past the column."""
    for row in range(cursor.size):
        if same[row] == 0:
            continue
        at = U(cursor[row])
        is_valid = valid.size == 0 or valid[row] == 1
        if (arena[at] == 1) != is_valid:
            same[row] = 0
            continue
        if not is_valid:
            cursor[row] += 1
            continue
        start = U(offsets[row])
        length = U(offsets[row + 1]) - start
        if load4(arena, at + U(1)) != length:
            same[row] = 0
            continue
        if not equal_bytes(arena, at + U(LENGTH_BYTES), data, start, length):
            same[row] = 0
        cursor[row] += np.int64(length) + LENGTH_BYTES


@kernel
def compare_fixed(values: Int64s, valid: Bytes, cursor: Int64s, arena: Bytes, same: Bytes) -> None:
    """As compare_text, for a column of 8 bytes."""
    for row in range(cursor.size):
        if same[row] == 0:
            continue
        at = U(cursor[row])
        is_valid = valid.size == 0 or valid[row] == 1
        if (arena[at] == 1) != is_valid:
            same[row] = 0
        elif not is_valid:
            cursor[row] += 1
        else:
            if load8(arena, at + U(1)) != U(values[row]):
                same[row] = 0
            cursor[row] += FIXED_BYTES


@kernel
def gather_keys(ids: Int32s, ends: Int64s, arena: Bytes, offsets: Int64s, out: Bytes) -> None:
    """Copies the stored keys with these ids to offsets[i]:offsets[i + 1]."""
    for row in range(ids.size):
        start = U(ends[ids[row]])
        first = U(offsets[row])
        for index in range(U(offsets[row + 1]) - first):
            out[first + U(index)] = arena[start + U(index)]
