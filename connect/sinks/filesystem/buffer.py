"""Rows of one topic-partition between two commits. Pure.

Ranges of offsets are contiguous: one ends where the next begins, rows that could not be converted included.
Tested in tests/connect/sinks/test_buffer.py.
"""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .paths import Directories
from .rotation import OpenRange, RotationRules, is_due, rows_before_cut

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows with what places them. offsets, times_ms, directories.rows: shape (columns.num_rows,)."""

    columns: pa.RecordBatch
    offsets: Int64Array
    times_ms: Int64Array
    directories: Directories

    def __len__(self) -> int:
        return len(self.offsets)

    def slice(self, start: int, end: int) -> "Chunk":
        return Chunk(
            self.columns.slice(start, end - start),
            self.offsets[start:end],
            self.times_ms[start:end],
            replace(self.directories, rows=self.directories.rows[start:end]),
        )


@dataclass(frozen=True, slots=True)
class ClosedRange:
    """Rows that are committed together. end: the next offset after them."""

    chunks: tuple[Chunk, ...]
    end: int
    bytes: int


class PartitionBuffer:
    """position: the offset after the last row seen. committed: up to where rows are durable."""

    def __init__(self, rules: RotationRules, position: int) -> None:
        self._rules = rules
        self._chunks: list[Chunk] = []
        self._open: OpenRange | None = None
        self.closed: deque[ClosedRange] = deque()
        self.position = position
        self.committed = position

    @property
    def open_bytes(self) -> int:
        return self._open.bytes if self._open else 0

    @property
    def closed_bytes(self) -> int:
        return sum(part.bytes for part in self.closed)

    @property
    def safe_offset(self) -> int:
        """Where reading may go on after a restart."""
        return self.committed if self._open or self.closed else self.position

    def add(self, chunk: Chunk, *, end: int, now_ms: int) -> None:
        """Take rows. end: the offset after the last record of their batch, converted or not."""
        row_bytes = max(1, chunk.columns.nbytes // max(1, len(chunk)))
        while len(chunk):
            cut = rows_before_cut(self._rules, self._open, chunk.times_ms, row_bytes)
            taken = len(chunk) if cut is None else cut
            if taken:
                self._take(chunk.slice(0, taken), row_bytes, now_ms)
            rest = chunk.slice(taken, len(chunk))
            if cut is not None:
                self.close(int(rest.offsets[0]) if len(rest) else end)
            chunk = rest
        self.position = end

    def close_if_due(self, now_ms: int) -> None:
        if self._open and is_due(self._rules, self._open, now_ms):
            self.close(self.position)

    def close(self, end: int | None = None) -> None:
        """End the open range, if there is one; at the position unless told otherwise."""
        if self._open:
            self.closed.append(
                ClosedRange(tuple(self._chunks), self.position if end is None else end, self._open.bytes)
            )
            self._chunks = []
            self._open = None

    def _take(self, chunk: Chunk, row_bytes: int, now_ms: int) -> None:
        known = self._open or OpenRange(0, 0, int(chunk.times_ms[0]), now_ms, now_ms)
        self._chunks.append(chunk)
        self._open = replace(
            known, rows=known.rows + len(chunk), bytes=known.bytes + row_bytes * len(chunk), last_put_ms=now_ms
        )
