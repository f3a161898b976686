"""What a consumer holds for each partition: where it stands, what is fetched, what is decoded. Pure; shell: fetcher.py.

`ticket` changes with every seek and assignment, so that an answer to an older question is recognised and dropped.
Source: record batch format v2; KIP-74 (fetch sizes). Tests: tests/core/client/test_fetch_state.py.
"""

import struct
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import MillstreamError
from .offsets import TopicPartition

Buffer = bytes | bytearray | memoryview

BATCH_PREFIX_BYTES = 12
BATCH_MIN_BYTES = 61
_CODEC_AT = 22
_CODEC_MASK = 0x07
_LAST_OFFSET_DELTA_AT = 23
_PREFIX = struct.Struct(">qi")
_DELTA = struct.Struct(">i")


@dataclass(frozen=True, slots=True)
class Blob:
    """Record batches of one partition as they were fetched."""

    ticket: int
    data: Sequence[Buffer]
    size_bytes: int
    from_offset: int
    next_offset: int
    aborted: tuple[tuple[int, int], ...]

    @property
    def compressed(self) -> bool:
        """Whether its first batch is."""
        return bool(self.data[0][_CODEC_AT] & _CODEC_MASK)


@dataclass(frozen=True, slots=True)
class Ready:
    """Decoded records, and the offset that follows once they are consumed."""

    records: Any
    next_offset: int
    size_bytes: int


@dataclass(slots=True, eq=False)
class PartitionState:
    """One assigned partition. Offsets are None until they are known.

    held: a rebalance callback has to run before anything is read. wanted: somebody waits for the position even so.
    """

    topic: str
    partition: int
    position: int | None = None
    fetch_offset: int | None = None
    fetch_bytes: int = 0
    paused: bool = False
    held: bool = False
    wanted: bool = False
    reset: bool = False
    ticket: int = 0
    not_before_ms: int = 0
    high_watermark: int = -1
    error: MillstreamError | None = None
    raw: deque[Blob] = field(default_factory=deque)
    ready: deque[Ready] = field(default_factory=deque)

    @property
    def buffered_bytes(self) -> int:
        return sum(blob.size_bytes for blob in self.raw) + sum(item.size_bytes for item in self.ready)

    def seek(self, offset: int | None, *, reset: bool = False) -> None:
        """Go on at `offset`; None finds it out, by the reset policy if `reset`, else by the committed offset first."""
        self.position = self.fetch_offset = offset
        self.reset = reset
        self.ticket += 1
        self.error = None
        self.not_before_ms = 0
        self.raw.clear()
        self.ready.clear()

    def stop(self, error: MillstreamError) -> None:
        """Hand out what is ready, and then this error: nothing behind it, be it fetched or on its way, until seek()."""
        self.error = error
        self.ticket += 1
        self.raw.clear()


class FetchBuffer:
    """All partitions of a consumer, and what is ready in them."""

    def __init__(self, *, limit_bytes: int, max_partition_bytes: int) -> None:
        self.partitions: dict[TopicPartition, PartitionState] = {}
        self._limit_bytes = limit_bytes
        self._max_partition_bytes = max_partition_bytes

    def add(self, partitions: Mapping[TopicPartition, int | None], *, held: bool = False) -> None:
        """Begin with these partitions; `held` ones are not fetched until released."""
        for key, offset in partitions.items():
            state = PartitionState(*key, fetch_bytes=self._max_partition_bytes, held=held)
            state.seek(offset)
            self.partitions[key] = state

    def remove(self, partitions: Iterable[TopicPartition]) -> None:
        for key in partitions:
            state = self.partitions.pop(key, None)
            if state is not None:
                state.ticket += 1  # An answer on its way finds that it is too late.

    def fetchable(self, now_ms: int) -> list[PartitionState]:
        """The partitions to ask for now; the one that waited longest comes first."""
        active = [state for state in self.partitions.values() if not state.paused]
        buffered = {id(state): state.buffered_bytes for state in active}
        if sum(buffered.values()) >= self._limit_bytes:
            return []
        share_bytes = max(self._limit_bytes // max(1, len(active)), 1)
        return [
            state
            for state in active
            if state.fetch_offset is not None
            and not state.held
            and state.error is None
            and state.not_before_ms <= now_ms
            and buffered[id(state)] < share_bytes
        ]

    def unpositioned(self, now_ms: int) -> list[PartitionState]:
        """Partitions whose position has to be found out."""
        return [
            state
            for state in self.partitions.values()
            if state.position is None
            and (state.wanted or not state.held)
            and state.error is None
            and state.not_before_ms <= now_ms
        ]

    def take(self, max_bytes: int | None, max_records: int | None) -> list[Any]:
        """Records that are ready, whole batches unless `max_records` cuts one; positions move past them."""
        taken: list[Any] = []
        bytes_left = self._limit_bytes * 4 if max_bytes is None else max_bytes
        rows_left = max_records
        for key in list(self.partitions):
            state = self.partitions[key]
            if state.paused or state.held:
                continue
            while state.ready and bytes_left > 0 and (rows_left is None or rows_left > 0):
                item = _first(state, rows_left)
                state.position = item.next_offset
                if item.records.num_rows:
                    taken.append(item.records)
                    bytes_left -= item.size_bytes
                    rows_left = None if rows_left is None else rows_left - item.records.num_rows
            if taken and taken[-1].topic == state.topic and taken[-1].partition == state.partition:
                self.partitions[key] = self.partitions.pop(key)  # To the end: the others come first next time.
        return taken

    def first_error(self) -> MillstreamError | None:
        """The error of a partition that has nothing left to give."""
        for state in self.partitions.values():
            if state.error is not None and not state.ready and not state.raw and not state.paused:
                return state.error
        return None


def _first(state: PartitionState, rows: int | None) -> Ready:
    """Take the oldest records of a partition, at most `rows` of them; the rest stays, uncopied."""
    item = state.ready.popleft()
    count = item.records.num_rows
    if rows is None or count <= rows:
        return item
    head, tail = item.records.slice(0, rows), item.records.slice(rows)
    share = item.size_bytes * rows // count
    state.ready.appendleft(Ready(tail, item.next_offset, item.size_bytes - share))
    return Ready(head, head.last_offset + 1, share)


def whole_batches(buffers: Sequence[Buffer]) -> tuple[int, int | None]:
    """Bytes of whole record batches at the start of `buffers`, and the offset after them (None: not one is whole)."""
    total, next_offset = 0, None
    for buffer in buffers:
        at, end = 0, len(buffer)
        while end - at >= BATCH_MIN_BYTES:
            base_offset, length = _PREFIX.unpack_from(buffer, at)
            size = BATCH_PREFIX_BYTES + length
            if size < BATCH_MIN_BYTES or size > end - at:
                break
            next_offset = base_offset + _DELTA.unpack_from(buffer, at + _LAST_OFFSET_DELTA_AT)[0] + 1
            at += size
        total += at
        if at < end:
            break
    return total, next_offset


def split_batches(blob: Blob) -> list[Blob]:
    """One blob for each of its batches; those of transactions that began earlier are judged as before."""
    parts: list[Blob] = []
    from_offset = blob.from_offset
    for buffer in blob.data:
        at = 0
        while True:
            size, next_offset = whole_batches((memoryview(buffer)[at : at + _batch_bytes(buffer, at)],))
            if next_offset is None:
                break
            end = max(next_offset, from_offset)
            data = (memoryview(buffer)[at : at + size],)
            parts.append(Blob(blob.ticket, data, size, from_offset, end, blob.aborted))
            from_offset, at = end, at + size
    return parts


def _batch_bytes(buffer: Buffer, at: int) -> int:
    """Size that the batch at a place claims to have; 0 where there is none."""
    if len(buffer) - at < BATCH_MIN_BYTES:
        return 0
    return max(0, BATCH_PREFIX_BYTES + int(_PREFIX.unpack_from(buffer, at)[1]))
