"""Reads of one log: which segment, where in it, aborted transactions, known damage. Shell; search: batch_search.py.

Where a read ended is remembered, so that a consumer that reads on is not looked up again. Of the sealed segments only
those read lately keep their file open and their indexes in memory.
Tested in tests/core/log/test_partition_log.py and by simulation in test_crashes.py.
"""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

from ..errors import CorruptRecords
from ..ports import SMALLEST_RANGE_BYTES, Disk, FileRange
from .file_names import LOG
from .flushing import Flusher
from .leader_epochs import LeaderEpochs
from .log_damage import LogDamage
from .producers.replay import find_aborted
from .producers.transaction_index import AbortedTransaction, overlapping
from .segments.batch_scan import Damage, Taken
from .segments.batch_search import Range, Wanted, first_not_older, locate, take, take_unread
from .segments.segment import Segment

logger = logging.getLogger(__name__)

POSITIONS_KEPT = 256
SEALED_KEPT_OPEN = 4


class ReadResult(NamedTuple):
    """Whole batches, the first of which holds the offset asked for or follows it. next_offset: where to read on.

    aborted: the aborted transactions that have records among them. rolled: more can be read, from a later segment.
    unread: what stands before `data`, for who can do with a range of a file.
    """

    data: list[memoryview]
    first_offset: int
    next_offset: int
    size_bytes: int
    aborted: list[AbortedTransaction]
    rolled: bool = False
    unread: FileRange | None = None


class Layout(NamedTuple):
    """The segments of a log and their first offsets; replaced as a whole."""

    segments: tuple[Segment, ...]
    bases: tuple[int, ...]

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> "Layout":
        return cls(tuple(segments), tuple(segment.base_offset for segment in segments))

    def bound(self, index: int, end_offset: int) -> int:
        """All offsets of that segment lie below it."""
        return self.bases[index + 1] if index + 1 < len(self.bases) else end_offset


class LogReader:
    """May be used by several threads at a time."""

    def __init__(self, disk: Disk, path: str, flusher: Flusher, epochs: LeaderEpochs, damaged: list[LogDamage]) -> None:
        self._disk = disk
        self._path = path
        self._flusher = flusher
        self._epochs = epochs
        self._damaged = damaged
        self._positions: dict[int, tuple[Segment, int]] = {}
        self._open_sealed: list[Segment] = []  # The one read last comes last.
        self._noting = Lock()

    def read(self, layout: Layout, offset: int, *, end_offset: int, wanted: Wanted) -> ReadResult:
        """As PartitionLog.read, of the log as `layout` shows it. Raises CorruptRecords, OSError."""
        index = bisect_right(layout.bases, offset) - 1
        while offset < wanted.max_offset and index < len(layout.segments):
            where = Range(layout.segments[index], layout.bound(index, end_offset), self._epochs)
            result = self._read_range(where, offset, wanted)
            where.segment.spare()
            if result is not None:
                if index + 1 < len(layout.segments):
                    self._keep_open(where.segment)
                    result = result._replace(rolled=wanted.max_offset > layout.bases[index + 1])
                return self._with_aborted(result, layout, index)
            index += 1
        return ReadResult([], offset, offset, 0, [])

    def first_not_older(
        self, layout: Layout, timestamp_ms: int, *, from_offset: int, end_offset: int
    ) -> tuple[int, int] | None:
        """Offset and timestamp of the first record from `from_offset` on that is not older. Raises OSError."""
        for index in range(max(0, bisect_right(layout.bases, from_offset) - 1), len(layout.segments)):
            segment = layout.segments[index]
            if segment.newest()[0] >= timestamp_ms:
                where = Range(segment, layout.bound(index, end_offset), self._epochs)
                found = first_not_older(where, timestamp_ms, from_offset)
                if found is not None:
                    return found
        return None

    def _read_range(self, where: Range, offset: int, wanted: Wanted) -> ReadResult | None:
        """Batches of one segment, None when it has none at `offset` or behind it."""
        self._check_known_damage(offset)
        known, position = self._positions.get(offset, (None, 0))
        if known is where.segment:
            unread = self._unread(where, position, offset, wanted)
            if unread is not None:
                return unread
            data, taken = take(where, position, offset, offset, wanted)
            if taken.end > taken.start:
                return self._result(where, position, data, taken, offset, wanted)
        found = locate(where, offset)
        if found is None:
            return None
        if isinstance(found, Damage):
            raise self._corrupt(self._note_damage(where, found))
        unread = self._unread(where, found.position, found.base_offset, wanted)
        if unread is not None:
            return unread
        data, taken = take(where, found.position, found.base_offset, offset, wanted)
        return self._result(where, found.position, data, taken, offset, wanted)

    def _unread(self, where: Range, position: int, first_offset: int, wanted: Wanted) -> ReadResult | None:
        """What may be left in the file of the batches from that at `position` on, which begins with first_offset.

        With the batches behind them, where those may be the last ones that there are.
        """
        unread = take_unread(where, position, first_offset, wanted) if wanted.leave_in_file else None
        if unread is None:
            return None
        room = wanted.max_bytes - len(unread.part)
        data: list[memoryview] = []
        end, next_offset = unread.end, unread.next_offset
        if where.segment.size_bytes - end <= room:
            rest = Wanted(wanted.max_offset, room, min_one=False)
            read, taken = take(where, end, next_offset, next_offset, rest)
            if taken.end > 0:
                data.append(read[: taken.end])
                end, next_offset = end + taken.end, taken.next_offset
        self._note_position(next_offset, where.segment, end)
        size_bytes = end - unread.part.position
        return ReadResult(data, unread.first_offset, next_offset, size_bytes, [], unread=unread.part)

    def _result(
        self, where: Range, position: int, data: memoryview, taken: Taken, offset: int, wanted: Wanted
    ) -> ReadResult:
        """What was read; much of it is left in the file all the same, as it is checked now: whoever is slow to take it
        holds no memory."""
        if taken.end == taken.start:
            if taken.fault:
                raise CorruptRecords(f"{self._path}: the batch at offset {offset} is damaged: {taken.fault}")
            return ReadResult([], offset, offset, 0, [])
        size_bytes = taken.end - taken.start
        if size_bytes > SMALLEST_RANGE_BYTES:
            unread = self._unread(where, position + taken.start, taken.first_offset, wanted)
            if unread is not None:
                return unread
        self._note_position(taken.next_offset, where.segment, position + taken.end)
        return ReadResult([data[taken.start : taken.end]], taken.first_offset, taken.next_offset, size_bytes, [])

    def _note_position(self, offset: int, segment: Segment, position: int) -> None:
        positions = self._positions
        positions[offset] = (segment, position)
        if len(positions) > POSITIONS_KEPT:
            self._positions = dict(list(positions.items())[POSITIONS_KEPT // 2 :])

    def _with_aborted(self, result: ReadResult, layout: Layout, index: int) -> ReadResult:
        segments = [segment for segment in layout.segments[index:] if segment.has_aborted]
        if not segments:
            return result
        lists = (self._aborted_in(segment, layout) for segment in segments)
        aborted = overlapping(lists, from_offset=result.first_offset, upper_offset=result.next_offset)
        return result._replace(aborted=aborted)

    def all_aborted(self, layout: Layout) -> list[AbortedTransaction]:
        """Every aborted transaction that the log knows. Raises OSError."""
        found: list[AbortedTransaction] = []
        for segment in layout.segments:
            if segment.has_aborted:
                found += self._aborted_in(segment, layout)
        return found

    def forget(self, gone: Sequence[Segment]) -> None:
        """Let go of segments that are not in the log any more."""
        with self._noting:
            self._open_sealed = [segment for segment in self._open_sealed if segment not in gone]
        self._positions = {}

    def _aborted_in(self, segment: Segment, layout: Layout) -> list[AbortedTransaction]:
        try:
            return segment.aborted_transactions()
        except ValueError as error:
            logger.warning("%s: the transaction index is made anew: %s", segment.path(LOG), error)
            entries = find_aborted(self._disk, self._path, layout.segments, segment)
            segment.set_aborted(entries)
            return entries

    def _keep_open(self, segment: Segment) -> None:
        """Note a sealed segment that was read; the one not read for longest is closed."""
        if self._open_sealed[-1:] == [segment]:
            return
        with self._noting:
            lately = [other for other in self._open_sealed if other is not segment]
            self._open_sealed = [*lately[-SEALED_KEPT_OPEN + 1 :], segment]
        for left in lately[: -SEALED_KEPT_OPEN + 1]:
            self._flusher.unload(left)

    def _check_known_damage(self, offset: int) -> None:
        for damage in self._damaged:
            if damage.first_offset <= offset < damage.next_offset:
                raise self._corrupt(damage)

    def _note_damage(self, where: Range, found: Damage) -> LogDamage:
        damage = LogDamage(where.segment.base_offset, *found)
        self._damaged.append(damage)
        logger.error("%s", self._corrupt(damage))
        return damage

    def _corrupt(self, damage: LogDamage) -> CorruptRecords:
        return CorruptRecords(
            f"{self._path}: offsets {damage.first_offset} to {damage.next_offset - 1} are damaged, in segment "
            f"{damage.segment_base_offset} from position {damage.position}: {damage.cause}; "
            f"offset {damage.next_offset} is where to read on"
        )
