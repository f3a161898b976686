"""Finding an offset or a time in one segment, and taking whole good batches from there. Shell: reads through Segment.

Batches that were checked when they were appended, or when they were read before, may be taken unread, as a range of the
file: sendfile costs a fifth of reading them and writing them to a socket.

An index entry is only a hint: every batch that is passed or taken is checked, and when the way from an entry leads
nowhere, the segment is searched from its start: a wrong index hides no batch, and damage hides none of its neighbours.
Tested in tests/core/log/test_partition_log.py and test_flipped_bits.py.
"""

import struct
from typing import NamedTuple

from ...ports import SMALLEST_RANGE_BYTES, File, FileRange
from ...wire.batches import read_header
from ...wire.decompression import TooLarge
from ...wire.record_times import first_record_not_older
from ..leader_epochs import LeaderEpochs
from .batch_scan import Damage, ScannedBatch, Taken, scan_batches, take_batches
from .segment import Segment

MAX_PLAIN_BYTES = 64 * 1024 * 1024
BASE_OFFSET = struct.Struct(">q")


class Range(NamedTuple):
    """A segment as a reader sees it: all its offsets lie below `bound`, the next segment's first or the log's end."""

    segment: Segment
    bound: int
    epochs: LeaderEpochs


class Wanted(NamedTuple):
    """What a reader takes at most: records below max_offset, in so many bytes; with min_one, a first batch that is
    larger too. leave_in_file: it can do with ranges of the file."""

    max_offset: int
    max_bytes: int
    min_one: bool
    leave_in_file: bool = False


class Unread(NamedTuple):
    """Good batches that were not read. end: the position behind them."""

    part: FileRange
    end: int
    first_offset: int
    next_offset: int


def locate(where: Range, offset: int) -> ScannedBatch | Damage | None:
    """The batch that holds `offset` or the next one after it, damage that hides it, or None behind the last batch."""
    relative, position = where.segment.offsets().before(offset - where.segment.base_offset)
    if relative >= 0:
        found = _search(where, offset, position)
        if isinstance(found, ScannedBatch) and found.base_offset <= offset:
            return found
    return _search(where, offset, 0)


def _search(where: Range, offset: int, position: int) -> ScannedBatch | Damage | None:
    segment = where.segment
    scan = scan_batches(
        segment.read, position=position, end=segment.size_bytes, expected=segment.base_offset, bound=where.bound,
        epochs=where.epochs,
    )  # fmt: skip
    for found in scan:
        if isinstance(found, Damage) and found.next_offset == -1:
            found = found._replace(next_offset=where.bound)
        if (isinstance(found, ScannedBatch) or found.first_offset <= offset) and offset < found.next_offset:
            return found
    return None


def take(where: Range, position: int, expected: int, offset: int, wanted: Wanted) -> tuple[memoryview, Taken]:
    """Good batches from the batch at `position` on, and what ended them.

    expected: the smallest offset that may stand at position; offset: that of the first record to be read.
    """
    segment = where.segment
    size_bytes = wanted.max_bytes
    while True:
        data = memoryview(segment.read(position, size_bytes))
        taken = take_batches(
            data, offset=offset, expected=expected, max_offset=wanted.max_offset, bound=where.bound,
            segment_end=segment.size_bytes - position, epochs=where.epochs,
        )  # fmt: skip
        segment.checked.add(position, position + taken.end)
        if taken.end > 0 or taken.wanted_bytes <= len(data) or not wanted.min_one:
            return data, taken
        if len(data) < min(size_bytes, segment.size_bytes - position):
            return data, taken._replace(fault="the file ends before the segment does")
        size_bytes = taken.wanted_bytes


def take_unread(where: Range, position: int, offset: int, wanted: Wanted) -> Unread | None:
    """As take(), of batches that were checked before; None where there are too few to be worth it.

    The index knows where the last of them begins, which is left out, with what follows it.
    """
    segment = where.segment
    end = min(segment.checked.end_from(position), position + wanted.max_bytes)
    if end - position < SMALLEST_RANGE_BYTES or segment.file.fileno() < 0:
        return None
    border = segment.offsets().last_position(wanted.max_offset - segment.base_offset, end)
    if border - position < SMALLEST_RANGE_BYTES:
        return None
    file = segment.file
    first_offset, next_offset = _base_offset(file, position), _base_offset(file, border)
    if not offset <= first_offset < next_offset < wanted.max_offset:
        return None
    return Unread(
        FileRange(file, position, border - position, segment.checked.forget), border, first_offset, next_offset
    )


def _base_offset(file: File, position: int) -> int:
    """Of the batch at `position`; -1 when the file ends there, though it should not."""
    data = file.read_at(position, BASE_OFFSET.size)
    return int(BASE_OFFSET.unpack(data)[0]) if len(data) == BASE_OFFSET.size else -1


def first_not_older(where: Range, timestamp_ms: int, from_offset: int) -> tuple[int, int] | None:
    """Offset and timestamp of the first record from `from_offset` on that is not older, None when there is none."""
    segment = where.segment
    start = segment.base_offset + segment.times().before(timestamp_ms)
    _, position = segment.offsets().before(start - segment.base_offset)
    scan = scan_batches(
        segment.read, position=position, end=segment.size_bytes, expected=segment.base_offset, bound=where.bound,
        epochs=where.epochs,
    )  # fmt: skip
    for found in scan:
        if isinstance(found, ScannedBatch) and found.max_timestamp >= timestamp_ms and found.next_offset > from_offset:
            inside = _first_in(segment.read(found.position, found.size_bytes), timestamp_ms, from_offset)
            if inside is not None:
                return inside
    return None


def _first_in(batch: bytes, timestamp_ms: int, from_offset: int) -> tuple[int, int] | None:
    """The record of one batch. Where that has too much in it to be looked through, its first, with its newest time: who
    reads on from there misses nothing."""
    try:
        return first_record_not_older(batch, timestamp_ms, from_offset, max_bytes=MAX_PLAIN_BYTES)
    except TooLarge:
        header = read_header(batch)
        return max(header.base_offset, from_offset), header.max_timestamp
