"""Rows of group columns to dense ids, and back: a hash table over stored row keys. Pure.

Ids count up from 0 in the order of first appearance, whatever the batches; no result depends on hashes. Two keys with
one hash (64 bits) are told apart by comparison and kept in a dictionary. Tests: tests/streams/test_state.py.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from .buffers import Bytes, Int32s, Int64s, UInt64s, grown, integers, is_text, plain, text_parts, validity
from .key_hash import compare_fixed, compare_text, fill_table, find_or_add, gather_keys, hash_fixed, hash_text
from .row_keys import decode_rows, encode_rows

FIRST_ROOM = 512


class KeyTable:
    """Interns rows of columns of fixed types; `intern` gives an id for each row, `columns` the rows for ids."""

    def __init__(self, kinds: Sequence[pa.DataType], seed: int = 0) -> None:
        self.kinds = tuple(kinds)
        self._seed = seed & 0xFFFF_FFFF_FFFF_FFFF
        self._table = np.zeros(2 * FIRST_ROOM, np.int32)
        self._known = np.zeros(FIRST_ROOM, np.uint64)
        self._ends = np.zeros(FIRST_ROOM + 1, np.int64)
        self._arena = np.zeros(16 * FIRST_ROOM, np.uint8)
        self._count = 0
        self._collided: dict[bytes, int] = {}

    def __len__(self) -> int:
        return self._count

    def intern(self, columns: Sequence[pa.Array], count: int) -> Int32s:
        """An id for each of `count` rows; rows that were not seen before get new ids."""
        arrays = [plain(column) for column in columns]
        valid = [validity(array) for array in arrays]
        hashes = np.full(count, self._seed, np.uint64)
        for array, present in zip(arrays, valid, strict=True):
            if is_text(array.type):
                hash_text(*text_parts(array), present, hashes)
            else:
                hash_fixed(integers(array), present, hashes)
        ids, new_rows = self._find(hashes)
        if new_rows.size:
            self._store(arrays, new_rows)
        same = self._compare(arrays, valid, ids)
        if not same.all():
            self._resolve_collisions(arrays, ids, np.flatnonzero(same == 0))
        return ids

    def row_keys(self, ids: Int32s) -> tuple[Int64s, Bytes]:
        """Offsets (n + 1) and bytes of the stored row keys with these ids."""
        offsets = np.zeros(ids.size + 1, np.int64)
        np.cumsum(self._ends[ids + 1] - self._ends[ids], out=offsets[1:])
        out = np.empty(int(offsets[-1]), np.uint8)
        gather_keys(ids, self._ends, self._arena, offsets, out)
        return offsets, out

    def columns(self, ids: Int32s) -> list[pa.Array]:
        """The group columns of the rows with these ids."""
        return decode_rows(*self.row_keys(ids), self.kinds)

    def rebuilt(self, live: Int32s) -> tuple["KeyTable", Int32s]:
        """A table of the `live` ids only (ascending), and the new id for each old one, -1 for those that are gone."""
        fresh = KeyTable(self.kinds, self._seed)
        renamed = np.full(self._count, -1, np.int32)
        renamed[live] = fresh.intern(self.columns(live), live.size)
        return fresh, renamed

    def _find(self, hashes: UInt64s) -> tuple[Int32s, Int64s]:
        ids = np.empty(hashes.size, np.int32)
        new_rows = np.empty(hashes.size, np.int64)
        cursor = np.array([0, self._count, 0], np.int64)
        find_or_add(hashes, ids, self._table, self._known, cursor, new_rows)
        while cursor[0] < hashes.size:
            self._grow(int(cursor[1]))
            find_or_add(hashes, ids, self._table, self._known, cursor, new_rows)
        return ids, new_rows[: cursor[2]]

    def _grow(self, count: int) -> None:
        """Twice the room for keys; the first `count` are known."""
        room = 2 * self._known.size
        self._known = grown(self._known, room)
        self._ends = grown(self._ends, room + 1)
        self._table = np.zeros(4 * room, np.int32)
        fill_table(self._table, self._known, count)

    def _store(self, arrays: Sequence[pa.Array], new_rows: Int64s) -> None:
        offsets, data = encode_rows([array.take(pa.array(new_rows)) for array in arrays], new_rows.size)
        used = int(self._ends[self._count])
        if used + data.size > self._arena.size:
            self._arena = grown(self._arena, 2 * self._arena.size + data.size)
        self._arena[used : used + data.size] = data
        self._ends[self._count + 1 : self._count + 1 + new_rows.size] = used + offsets[1:]
        self._count += new_rows.size

    def _compare(self, arrays: Sequence[pa.Array], valid: Sequence[Bytes], ids: Int32s) -> Bytes:
        same = np.ones(ids.size, np.uint8)
        cursor = self._ends[ids]
        for array, present in zip(arrays, valid, strict=True):
            if is_text(array.type):
                compare_text(*text_parts(array), present, cursor, self._arena, same)
            else:
                compare_fixed(integers(array), present, cursor, self._arena, same)
        return same

    def _resolve_collisions(self, arrays: Sequence[pa.Array], ids: Int32s, rows: Int64s) -> None:
        offsets, data = encode_rows([array.take(pa.array(rows)) for array in arrays], rows.size)
        for index, row in enumerate(rows.tolist()):
            key = data[offsets[index] : offsets[index + 1]].tobytes()
            if key not in self._collided:
                self._collided[key] = self._count
                if self._count >= self._known.size:
                    self._grow(self._count)
                self._store(arrays, np.array([row]))
            ids[row] = self._collided[key]
