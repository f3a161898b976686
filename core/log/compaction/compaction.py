"""Cleaning the segments of one log into new ones, which stand beside the old with the suffix .cleaned. Shell.

Reads the log's files and touches none of them, so that it may run anywhere: in the cleaner's thread, or in a process
of its own (compaction_process.py). What comes out is put in place by segment_swap.py, group by group.
Source: Cleaner of Kafka 4.3.1. Tested in tests/core/log/test_cleaning.py and test_cleaning_crashes.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ...errors import CorruptRecords
from ...ports import Buffer, Disk
from ..file_names import CLEANED, LOG
from ..leader_epochs import LeaderEpochs
from ..producers.markers import decode_marker
from ..producers.transaction_index import AbortedTransaction
from ..segments.batch_scan import Damage, ScannedBatch, scan_batches
from ..segments.segment import Segment
from .batch_cleaning import CleaningRules, cleaned_batch, keys_of
from .cleaned_transactions import CleanedTransactions
from .compaction_rules import SegmentFacts, group_segments
from .key_offsets import KeyOffsets

WRITE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CleaningJob:
    """All that has to be known of a log to clean it. segments: those below upper_offset, whole, in order."""

    directory: str
    segments: tuple[SegmentFacts, ...]
    first_dirty_offset: int
    upper_offset: int
    aborted: tuple[AbortedTransaction, ...]
    last_offsets: dict[int, int]
    marker_epochs: dict[int, int]
    now_ms: int
    delete_retention_ms: int
    segment_bytes: int
    segment_index_bytes: int
    index_interval_bytes: int
    dedupe_bytes: int
    load_factor: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CleaningJob":
        plain = dict(values)
        plain["segments"] = tuple(SegmentFacts(**facts) for facts in values["segments"])
        plain["aborted"] = tuple(AbortedTransaction(*entry) for entry in values["aborted"])
        for name in ("last_offsets", "marker_epochs"):
            plain[name] = {int(producer_id): value for producer_id, value in values[name].items()}
        return cls(**plain)


class CleanedGroup(NamedTuple):
    """Segments that have become one, which lies there under the name of the first with the suffix .cleaned."""

    replaced: tuple[int, ...]
    size_bytes: int


class CleaningDone(NamedTuple):
    """The end of a run: everything below end_offset is clean. Bytes and records are those of all segments it read."""

    end_offset: int
    bytes_read: int
    bytes_kept: int
    records_read: int
    records_kept: int
    keys: int


Pause = Callable[[int], None]
"""Told how many bytes were read since the last call; may sleep."""


def clean(job: CleaningJob, disk: Disk, pause: Pause) -> Iterator[CleanedGroup | CleaningDone]:
    """Cleans a log; each group may be put in place before the next one is asked for.

    A single segment of which nothing goes is left as it is. Raises OSError, and CorruptRecords for a damaged segment.
    """
    keys = KeyOffsets(job.dedupe_bytes, load_factor=job.load_factor)
    _fill(keys, job, disk, pause)
    end_offset = keys.latest_offset + 1
    rules = CleaningRules(
        keys, CleanedTransactions(job.aborted), job.last_offsets, job.marker_epochs, job.upper_offset, job.now_ms,
        job.delete_retention_ms,
    )  # fmt: skip
    wanted = [facts for facts in job.segments if facts.base_offset < end_offset]
    upper = job.segments[len(wanted)].base_offset if len(wanted) < len(job.segments) else job.upper_offset
    bytes_read = bytes_kept = 0
    for group in group_segments(
        wanted, segment_bytes=job.segment_bytes, index_bytes=job.segment_index_bytes, upper_offset=upper
    ):
        cleaned = _GroupCleaner(job, disk, rules, pause).run(group)
        bytes_read += sum(facts.size_bytes for facts in group)
        bytes_kept += cleaned.size_bytes
        if cleaned.replaced:
            yield cleaned
    yield CleaningDone(end_offset, bytes_read, bytes_kept, rules.records_read, rules.records_kept, len(keys))


def _fill(keys: KeyOffsets, job: CleaningJob, disk: Disk, pause: Pause) -> None:
    """Note the last offset of each key of the dirty part, as far as there is room for keys."""
    start = job.first_dirty_offset
    keys.latest_offset = start - 1
    transactions = CleanedTransactions(one for one in job.aborted if one.last_offset >= start)
    for index, facts in enumerate(job.segments):
        following = job.segments[index + 1].base_offset if index + 1 < len(job.segments) else job.upper_offset
        if following <= start:
            continue
        for found, batch in _batches(job, facts, disk, pause):
            if found.is_control:
                transactions.is_spare(found, _commits(batch))
            elif not transactions.is_aborted(found) and found.next_offset > start:
                for run in keys_of(batch):
                    wanted = [entry for entry in run if start <= entry[1] < found.next_offset]
                    if not _noted(keys, wanted):
                        return
            keys.latest_offset = max(found.next_offset - 1, start - 1)
        keys.latest_offset = max(following - 1, start - 1)


def _noted(keys: KeyOffsets, found: list[tuple[bytes, int]]) -> bool:
    """Whether there was room for all keys of a run; up to latest_offset there was in any case."""
    if len(keys) + len(found) <= keys.capacity:
        for key, offset in dict(found).items():
            keys.put(key, offset)
        keys.latest_offset = max(keys.latest_offset, found[-1][1] if found else -1)
        return True
    for key, offset in found:
        if not keys.put(key, offset):
            return False
        keys.latest_offset = max(keys.latest_offset, offset)
    return True


def _commits(batch: Buffer) -> bool | None:
    marker = decode_marker(batch)
    return None if marker is None else marker.commit


class _GroupCleaner:
    """Writes what is left of a group of segments into a new one."""

    def __init__(self, job: CleaningJob, disk: Disk, rules: CleaningRules, pause: Pause) -> None:
        self._job = job
        self._disk = disk
        self._rules = rules
        self._pause = pause
        self._waiting: list[bytes] = []
        self._noted: list[tuple[int, int, int]] = []
        self._waiting_bytes = 0
        self._changed = False

    def run(self, group: list[SegmentFacts]) -> CleanedGroup:
        """Raises OSError, CorruptRecords; then nothing of it is left."""
        job = self._job
        target = Segment.create(
            self._disk, job.directory, group[0].base_offset, index_interval=job.index_interval_bytes, state=CLEANED
        )
        try:
            self._changed = len(group) > 1
            for facts in group:
                for found, batch in _batches(job, facts, self._disk, self._pause):
                    kept = cleaned_batch(found, batch, self._rules)
                    self._changed |= kept is not batch
                    if kept is not None:
                        self._add(target, found, kept)
            self._write(target)
            for entry in self._rules.transactions.take_kept():
                target.note_aborted(entry)
            if not self._changed:
                target.unlink()
                return CleanedGroup((), target.size_bytes)
            target.seal()
            target.sync()
            target.sync_indexes()
            target.unload()
            last = _segment(job, group[-1], self._disk)
            self._disk.set_modified_ms(target.path(LOG), last.modified_ms())
            self._disk.sync_directory(job.directory)
        except (OSError, CorruptRecords):
            target.unlink()
            raise
        return CleanedGroup(tuple(facts.base_offset for facts in group), target.size_bytes)

    def _add(self, target: Segment, found: ScannedBatch, batch: Buffer) -> None:
        self._waiting.append(bytes(batch))
        newest_ms = int.from_bytes(batch[35:43], "big", signed=True)
        self._noted.append((len(batch), found.next_offset - 1, newest_ms))
        self._waiting_bytes += len(batch)
        if self._waiting_bytes >= WRITE_BYTES:
            self._write(target)

    def _write(self, target: Segment) -> None:
        if not self._waiting:
            return
        position = target.append([b"".join(self._waiting)], self._waiting_bytes)
        for size_bytes, last_offset, newest_ms in self._noted:
            target.note_batch(position, size_bytes, last_offset, newest_ms)
            position += size_bytes
        self._waiting, self._noted, self._waiting_bytes = [], [], 0


def _segment(job: CleaningJob, facts: SegmentFacts, disk: Disk) -> Segment:
    return Segment(
        disk, job.directory, facts.base_offset, size_bytes=facts.size_bytes, index_interval=job.index_interval_bytes
    )


def _batches(
    job: CleaningJob, facts: SegmentFacts, disk: Disk, pause: Pause
) -> Iterator[tuple[ScannedBatch, memoryview]]:
    """The batches of a segment with their bytes. Raises CorruptRecords at the first damage, OSError."""
    segment = _segment(job, facts, disk)
    window, window_at = memoryview(b""), 0

    def read(position: int, size: int) -> bytes:
        nonlocal window, window_at
        data = segment.read(position, size)
        window, window_at = memoryview(data), position
        pause(len(data))
        return data

    scan = scan_batches(
        read, position=0, end=facts.size_bytes, expected=facts.base_offset, bound=job.upper_offset,
        epochs=LeaderEpochs(), search_below=facts.base_offset,
    )  # fmt: skip
    for found in scan:
        if isinstance(found, Damage):
            raise CorruptRecords(
                f"{segment.path(LOG)}: damaged from position {found.position}, offset {found.first_offset}: "
                f"{found.cause}"
            )
        at = found.position - window_at
        yield found, window[at : at + found.size_bytes]
