"""Finding whole, undamaged batches in the bytes of a segment, and the next one after damage. Pure.

A batch's checksum leaves out its base offset, length, leader epoch and magic. So these are held against what surrounds
them: base offsets rise without overlap and stay below the bound; an epoch is the one the log noted for those offsets.
Source: the record batch format v2 of Kafka 4.3.1. Tested in tests/core/log/test_batch_scan.py.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from crc32c import crc32c

from ...wire.batches import CONTROL, HEADER_BYTES, LOG_OVERHEAD, MAGIC, TRANSACTIONAL
from ..leader_epochs import LeaderEpochs

HEADER = struct.Struct(">qiibIhiqqqhii")
FRONT = struct.Struct(">qiibIhi")
CHECKED_AT = 21
MAGIC_AT = 16
WINDOW_BYTES = 1 << 20
"""The most that is read at once on the way through a segment."""
FIRST_WINDOW_BYTES = 16 << 10
"""What is read first: of a search that begins at an index entry, this is as a rule all."""

Read = Callable[[int, int], bytes]


class ScannedBatch(NamedTuple):
    """A whole batch whose checksum holds, and where it lies in its segment."""

    position: int
    size_bytes: int
    base_offset: int
    leader_epoch: int
    attributes: int
    last_offset_delta: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL)


class Damage(NamedTuple):
    """Bytes of a segment that are no batch; `next_offset` is that of the batch behind them, -1 when none follows."""

    position: int
    end_position: int
    first_offset: int
    next_offset: int
    cause: str


class Verdict(NamedTuple):
    """Of the bytes at one position: a good batch up to `end` when `fault` is "" and `end` lies within the data.

    With `end` beyond the data, that much is needed to judge. With a fault, base and next offset mean nothing.
    """

    end: int
    base_offset: int
    next_offset: int
    fault: str


class Taken(NamedTuple):
    """Whole good batches in data[start:end]; `fault` is why the one behind them is not good, "" when nothing is wrong.

    wanted_bytes: the data needed in all to judge the next batch, 0 when there is none or none is wanted.
    """

    start: int
    end: int
    first_offset: int
    next_offset: int
    fault: str
    wanted_bytes: int


def judge_batch(
    data: memoryview, at: int, *, segment_end: int, expected: int, bound: int, epochs: LeaderEpochs
) -> Verdict:
    """Whether a good batch lies at data[at].

    segment_end: where the segment ends, counted like `at`, at or beyond the end of data.
    expected: its smallest possible base offset; bound: its offsets lie below that. epochs: those the log noted.
    """
    if at + HEADER_BYTES > segment_end:
        return Verdict(at, -1, -1, f"{segment_end - at} bytes are left, a batch has {HEADER_BYTES}")
    if at + HEADER_BYTES > len(data):
        return Verdict(at + HEADER_BYTES, -1, -1, "")
    base, length, epoch, magic, checksum, _, delta = FRONT.unpack_from(data, at)
    end = at + LOG_OVERHEAD + length
    if magic != MAGIC or length < HEADER_BYTES - LOG_OVERHEAD or end > segment_end or delta < 0:
        return Verdict(at, -1, -1, f"no batch has magic {magic}, length {length} and last offset delta {delta}")
    next_offset = base + delta + 1
    if base < expected or next_offset > bound:
        return Verdict(at, -1, -1, f"offsets {base} to {next_offset - 1}; they must lie from {expected} to {bound - 1}")
    if end > len(data):
        return Verdict(end, -1, -1, "")
    if crc32c(data[at + CHECKED_AT : end]) != checksum:
        return Verdict(at, -1, -1, "the checksum does not fit")
    noted = epochs.epoch_of(base)
    if noted not in (epoch, -1):
        return Verdict(at, -1, -1, f"leader epoch {epoch}; {noted} was noted for offset {base}")
    if base > expected:
        return _judge_gap(data, end, segment_end, Verdict(end, base, next_offset, ""))
    return Verdict(end, base, next_offset, "")


def _judge_gap(data: memoryview, end: int, segment_end: int, good: Verdict) -> Verdict:
    """Compaction leaves gaps; a flipped bit in a base offset looks like one, but then the next batch overlaps."""
    if end + HEADER_BYTES > segment_end:
        return good
    if end + HEADER_BYTES > len(data):
        return good._replace(end=end + HEADER_BYTES)
    base, length, _, magic, checksum, _, _ = FRONT.unpack_from(data, end)
    next_end = end + LOG_OVERHEAD + length
    if magic != MAGIC or length < HEADER_BYTES - LOG_OVERHEAD or next_end > segment_end or base >= good.next_offset:
        return good
    if next_end > len(data):
        return good._replace(end=next_end)
    if crc32c(data[end + CHECKED_AT : next_end]) != checksum:
        return good
    return Verdict(end, -1, -1, f"offsets {good.base_offset} to {good.next_offset - 1} overlap the next batch's")


def take_batches(
    data: memoryview,
    *,
    offset: int,
    expected: int,
    max_offset: int,
    bound: int,
    segment_end: int,
    epochs: LeaderEpochs,
) -> Taken:
    """The run of good batches from the one that holds `offset` (or follows it) up to max_offset, exclusive.

    data: the segment's bytes from a batch border on. expected: the smallest offset that may stand there. The rest: as
    in judge_batch.
    """
    at, start, first_offset = 0, -1, -1
    fault, wanted = "", 0
    while at < segment_end and expected < max_offset:
        if start >= 0 or expected == offset:
            began = at
            at, expected = _skip_regular(data, at, expected, min(max_offset, bound), epochs)
            if start < 0 and at > began:
                start, first_offset = began, offset
            if at >= segment_end or expected >= max_offset:
                break
        end, base, next_offset, fault = judge_batch(
            data, at, segment_end=segment_end, expected=expected, bound=bound, epochs=epochs
        )
        if fault:
            break
        if end > len(data):
            wanted = end
            break
        if base >= max_offset:
            break
        if start < 0 and next_offset > offset:
            start, first_offset = at, base
        at, expected = end, next_offset
    return Taken(at if start < 0 else start, at, first_offset, expected, fault, wanted)


def _skip_regular(data: memoryview, at: int, expected: int, upto: int, epochs: LeaderEpochs) -> tuple[int, int]:
    """Position and offset behind the good batches that follow each other without a gap and in one leader epoch.

    The loop of judge_batch for the regular case, several times as fast. Whatever is not regular is left to that.
    """
    epoch, epoch_end = epochs.run_from(expected)
    upto = min(upto, epoch_end)
    last = len(data) - HEADER_BYTES
    unpack, checksum_of = FRONT.unpack_from, crc32c
    while at <= last and expected < upto:
        base, length, batch_epoch, magic, checksum, _, delta = unpack(data, at)
        end = at + LOG_OVERHEAD + length
        if base != expected or batch_epoch != epoch or magic != MAGIC or delta < 0 or end > last + HEADER_BYTES:
            break
        if length < HEADER_BYTES - LOG_OVERHEAD or checksum_of(data[at + CHECKED_AT : end]) != checksum:
            break
        at, expected = end, base + delta + 1
    return at, expected


def scan_batches(
    read: Read, *, position: int, end: int, expected: int, bound: int, epochs: LeaderEpochs, search_below: int = 2**63
) -> Iterator[ScannedBatch | Damage]:
    """Every good batch of a segment's bytes [position, end), and every damage between and behind them.

    position: a batch border. expected, bound, epochs: as in judge_batch.
    search_below: no good batch is looked for behind damage that begins at this offset or a later one.
    """
    window, window_at = memoryview(b""), position
    window_bytes = FIRST_WINDOW_BYTES
    while position < end:
        verdict = judge_batch(
            window, position - window_at, segment_end=end - window_at, expected=expected, bound=bound, epochs=epochs
        )
        if verdict.fault:
            found, next_offset = end, -1
            if expected < search_below:
                found, next_offset = find_batch(read, position=position + 1, end=end, expected=expected, bound=bound)
            yield Damage(position, found, expected, next_offset, verdict.fault)
            position, expected = found, next_offset
        elif verdict.end > len(window):
            wanted = verdict.end - (position - window_at)
            window, window_at = memoryview(read(position, min(max(wanted, window_bytes), end - position))), position
            window_bytes = min(4 * window_bytes, WINDOW_BYTES)
            if not window:
                yield Damage(position, end, expected, -1, "the file ends before the segment does")
                return
            if len(window) < wanted:
                end = position + len(window)
        else:
            yield _scanned(window, position - window_at, position, verdict)
            position, expected = window_at + verdict.end, verdict.next_offset


def find_batch(read: Read, *, position: int, end: int, expected: int, bound: int) -> tuple[int, int]:
    """Position and base offset of the first good batch from `position` on, (end, -1) when there is none."""
    window, window_at = b"", position
    while position + HEADER_BYTES <= end:
        if position + HEADER_BYTES > window_at + len(window):
            window, window_at = read(position, min(WINDOW_BYTES, end - position)), position
            if len(window) < HEADER_BYTES:
                break
        last = len(window) - HEADER_BYTES
        magic_at = window.find(MAGIC, position - window_at + MAGIC_AT, last + MAGIC_AT + 1)
        if magic_at < 0:
            position = window_at + last + 1
            continue
        position = window_at + magic_at - MAGIC_AT
        base, length, _, _, checksum, _, delta = FRONT.unpack_from(window, position - window_at)
        fits = HEADER_BYTES - LOG_OVERHEAD <= length <= end - position - LOG_OVERHEAD
        if fits and delta >= 0 and expected <= base < bound - delta:
            whole = read(position, LOG_OVERHEAD + length)
            if crc32c(memoryview(whole)[CHECKED_AT:]) == checksum:
                return position, base
        position += 1
    return end, -1


def _scanned(window: memoryview, at: int, position: int, verdict: Verdict) -> ScannedBatch:
    base, _, epoch, _, _, attributes, delta, _, newest, producer, producer_epoch, sequence, _ = HEADER.unpack_from(
        window, at
    )
    return ScannedBatch(
        position, verdict.end - at, base, epoch, attributes, delta, newest, producer, producer_epoch, sequence
    )
