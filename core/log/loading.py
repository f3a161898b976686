"""Opening a log directory after any kind of end: what holds, what is cut, what is reported. Shell over Segment.

After a clean shutdown only the last index interval is read. After a crash every segment from the recovery point on is:
the first bytes at or above it that are no good batch end the log, they were never acknowledged; damage below it stays
where it is and is reported. All that holds is on the medium, names included, before the log takes appends.
Tested in tests/core/log/test_loading.py, by simulation in test_crashes.py and with kill -9 in test_kill.py.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import CorruptRecords, StorageError
from ..ports import Disk
from .batch_scan import Damage, ScannedBatch, scan_batches
from .checkpoints import format_epochs, parse_epochs
from .file_names import (
    CLEANED,
    DELETED,
    LEADER_EPOCHS,
    LOG,
    SNAPSHOT,
    SWAP,
    TEMPORARY,
    TRANSACTION_INDEX,
    parse_segment_file,
    segment_file,
)
from .files import read_file, replace_file
from .leader_epochs import LeaderEpochs
from .markers import decode_marker
from .producer_snapshot import decode_snapshot
from .producer_state import NO_OFFSET, ProducerStates
from .reading import LogDamage
from .segment import NO_BOUND, Segment
from .transaction_index import AbortedTransaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """What the checkpoints say of a log; 0 for one that they do not know.

    cleaned_to: offsets below it may have been compacted, so that segments need not join without a gap.
    """

    clean: bool
    recovery_point: int = 0
    log_start_offset: int = 0
    cleaned_to: int = 0


@dataclass(slots=True)
class LoadedLog:
    """A log's state as found. new_files: of a log just made, to be synced before anything of it counts."""

    segments: list[Segment]
    end_offset: int
    log_start_offset: int
    epochs: LeaderEpochs
    producers: ProducerStates = field(default_factory=ProducerStates)
    damaged: list[LogDamage] = field(default_factory=list)
    new_files: dict[str, bytes] = field(default_factory=dict)


class Loader:
    """Opens one log directory, once."""

    def __init__(self, disk: Disk, directory: str, point: LoadPoint, *, index_interval: int) -> None:
        self._disk = disk
        self._directory = directory
        self._point = point
        self._index_interval = index_interval
        self._damaged: list[LogDamage] = []
        self._changed: list[Segment] = []

    def load(self) -> LoadedLog:
        """The log, ready for appends. Raises OSError, and StorageError when Kafka left a compaction half done."""
        names = self._disk.list_directory(self._directory)
        self._remove_leftovers(names)
        epochs, epochs_read = self._read_epochs()
        segments, end_offset = self._load_segments(self._find_segments(names), epochs)
        loaded = LoadedLog(segments, end_offset, 0, epochs, damaged=self._damaged)
        loaded.log_start_offset = min(max(self._point.log_start_offset, segments[0].base_offset), end_offset)
        epochs.truncate_end(end_offset)
        self._replay(loaded, names, from_start=not epochs_read)
        for segment in self._changed:
            segment.sync()
            if segment is not segments[-1]:
                segment.seal()
                segment.sync_indexes()
                segment.unload()
        if self._changed or epochs.entries() != self._epochs_on_disk:
            replace_file(self._disk, f"{self._directory}/{LEADER_EPOCHS}", format_epochs(epochs.entries()))
        if not self._point.clean or self._changed:
            self._disk.sync_directory(self._directory)
        return loaded

    def _remove_leftovers(self, names: list[str]) -> None:
        logs = {parsed[0] for name in names if (parsed := parse_segment_file(name)) and parsed[1] == LOG}
        for name in names:
            if name.endswith(SWAP):
                raise StorageError(
                    f"{self._directory}/{name}: Kafka was stopped while it compacted this log; start and stop Kafka on "
                    f"this data directory once, so that it completes that"
                )
            parsed = parse_segment_file(name)
            orphan = parsed is not None and parsed[1] not in (LOG, SNAPSHOT) and parsed[0] not in logs
            if orphan or name.endswith((DELETED, CLEANED, TEMPORARY)):
                self._disk.unlink(f"{self._directory}/{name}")

    def _read_epochs(self) -> tuple[LeaderEpochs, bool]:
        """The noted leader epochs, and whether they could be read."""
        self._epochs_on_disk: list[tuple[int, int]] = []
        data = read_file(self._disk, f"{self._directory}/{LEADER_EPOCHS}")
        try:
            self._epochs_on_disk = parse_epochs(data) if data else []
        except ValueError as error:
            logger.warning("%s/%s is damaged and made anew: %s", self._directory, LEADER_EPOCHS, error)
            return LeaderEpochs(), False
        return LeaderEpochs(self._epochs_on_disk), True

    def _find_segments(self, names: list[str]) -> list[Segment]:
        bases = sorted(parsed[0] for name in names if (parsed := parse_segment_file(name)) and parsed[1] == LOG)
        segments = []
        for base in bases:
            segment = Segment(self._disk, self._directory, base, size_bytes=0, index_interval=self._index_interval)
            segment.size_bytes = segment.file.size()
            segment.has_aborted = segment_file(base, TRANSACTION_INDEX) in names
            segment.unload()
            segments.append(segment)
        return segments

    def _load_segments(self, segments: list[Segment], epochs: LeaderEpochs) -> tuple[list[Segment], int]:
        """The segments that hold, the last of them ready for appends, and where the log ends."""
        point = self._point
        if not segments:
            return [self._create(point.log_start_offset)], point.log_start_offset
        last = len(segments) - 1
        first = last
        if not point.clean:
            first = max([i for i, segment in enumerate(segments) if segment.base_offset < point.recovery_point] or [0])
        end_offset = segments[first].base_offset
        joined_below = max(point.recovery_point, point.cleaned_to)
        for index in range(first, len(segments)):
            segment = segments[index]
            if index > first and segment.base_offset != end_offset and segment.base_offset > joined_below:
                self._drop(segments[index:], f"it does not begin at offset {end_offset}, where the one before ends")
                return self._ready(segments[:index], end_offset), end_offset
            bound = segments[index + 1].base_offset if index < last else NO_BOUND
            end_offset, cut = self._examine(segment, epochs, bound=bound, whole=not point.clean)
            if cut:
                self._drop(segments[index + 1 :], f"the log was cut at offset {end_offset}")
                return self._ready(segments[: index + 1], end_offset), end_offset
        return self._ready(segments, end_offset), end_offset

    def _examine(self, segment: Segment, epochs: LeaderEpochs, *, bound: int, whole: bool) -> tuple[int, bool]:
        """Where the segment's offsets end, and whether its tail was cut. Its indexes are up to date after that."""
        position, expected = 0, segment.base_offset
        if whole:
            segment.start_indexes()
            self._changed.append(segment)
        else:
            position = segment.offsets().last[1]
            segment.resume_indexes()
        for found in scan_batches(
            segment.read, position=position, end=segment.size_bytes, expected=expected, bound=bound,
            epochs=LeaderEpochs(), search_below=NO_BOUND if self._point.clean else self._point.recovery_point,
        ):  # fmt: skip
            good = _with_known_epoch(found, expected, epochs)
            if isinstance(good, ScannedBatch):
                segment.note_batch(good.position, good.size_bytes, good.next_offset - 1, good.max_timestamp)
                expected = good.next_offset
            elif not whole and position:
                return self._examine(segment, epochs, bound=bound, whole=True)
            elif not self._point.clean and good.first_offset >= self._point.recovery_point:
                logger.warning(
                    "%s: cut at position %d of %d, offset %d: %s",
                    segment.path(LOG), good.position, segment.size_bytes, good.first_offset, good.cause,
                )  # fmt: skip
                segment.cut(good.position)
                return expected, True
            else:
                expected = self._report(segment, good, bound)
        return expected, False

    def _report(self, segment: Segment, damage: Damage, bound: int) -> int:
        """Note damage below the recovery point; returns the offset with which the log goes on behind it."""
        lost_to = damage.next_offset
        if lost_to == -1:
            lost_to = bound if bound != NO_BOUND else max(self._point.recovery_point, damage.first_offset + 1)
        noted = LogDamage(
            segment.base_offset, damage.position, damage.end_position, damage.first_offset, lost_to, damage.cause
        )
        self._damaged.append(noted)
        logger.error(
            "%s: offsets %d to %d are lost: %s", segment.path(LOG), noted.first_offset, lost_to - 1, noted.cause
        )
        return lost_to

    def _ready(self, segments: list[Segment], end_offset: int) -> list[Segment]:
        """Segments whose last one takes appends: a new one, when its end is damaged and must stay as it is."""
        last = segments[-1]
        tail = [damage for damage in self._damaged if damage.segment_base_offset == last.base_offset]
        if tail and tail[-1].end_position == last.size_bytes:
            return [*segments, self._create(end_offset)]
        return segments

    def _create(self, base_offset: int) -> Segment:
        segment = Segment.create(self._disk, self._directory, base_offset, index_interval=self._index_interval)
        self._changed.append(segment)
        return segment

    def _drop(self, segments: list[Segment], cause: str) -> None:
        for segment in segments:
            logger.warning("%s: removed: %s", segment.path(LOG), cause)
            segment.close()
            segment.unlink()
            self._disk.sync_directory(self._directory)

    # Producers.

    def _replay(self, loaded: LoadedLog, names: list[str], *, from_start: bool) -> None:
        """Producer state, unknown leader epochs and the transaction indexes of the segments that were examined."""
        changed = {segment.base_offset for segment in self._changed}
        start, loaded.producers = self._snapshot(
            loaded, names, limit=min(changed, default=NO_BOUND), from_start=from_start
        )
        for segment in self._changed:
            segment.set_aborted([])
        for segment, batch in _batches_from(loaded.segments, start):
            if loaded.epochs.epoch_of(batch.base_offset) == -1:
                loaded.epochs.assign(batch.leader_epoch, batch.base_offset)
            if batch.producer_id < 0:
                continue
            aborted = replay_batch(loaded.producers, segment, batch)
            if aborted is not None and segment.base_offset in changed:
                segment.note_aborted(aborted)

    def _snapshot(
        self, loaded: LoadedLog, names: list[str], *, limit: int, from_start: bool
    ) -> tuple[int, ProducerStates]:
        """The newest producer snapshot that holds, up to `limit`, and its offset. Those beyond the log's end go."""
        offsets = [parsed[0] for name in names if (parsed := parse_segment_file(name)) and parsed[1] == SNAPSHOT]
        for offset in sorted(offsets, reverse=True):
            path = f"{self._directory}/{segment_file(offset, SNAPSHOT)}"
            if offset > loaded.end_offset:
                self._disk.unlink(path)
            elif offset <= limit and not from_start:
                try:
                    producers = decode_snapshot(read_file(self._disk, path))
                except ValueError as error:
                    logger.warning("%s is removed: %s", path, error)
                    self._disk.unlink(path)
                else:
                    alive = [known for known in producers if _is_alive(known.transaction_start, loaded)]
                    return offset, ProducerStates(alive)
        return loaded.segments[0].base_offset, ProducerStates()


def _is_alive(transaction_start: int, loaded: LoadedLog) -> bool:
    return transaction_start == NO_OFFSET or transaction_start < loaded.end_offset


def _with_known_epoch(found: ScannedBatch | Damage, expected: int, epochs: LeaderEpochs) -> ScannedBatch | Damage:
    """A batch whose leader epoch is the noted one, or a new one, which is noted; damage otherwise."""
    if isinstance(found, Damage):
        return found
    noted = epochs.epoch_of(found.base_offset)
    if noted not in (found.leader_epoch, -1) and found.leader_epoch <= epochs.latest:
        cause = f"leader epoch {found.leader_epoch}; {noted} was noted for offset {found.base_offset}"
        return Damage(found.position, found.position + found.size_bytes, expected, found.next_offset, cause)
    if found.leader_epoch > epochs.latest:
        epochs.assign(found.leader_epoch, found.base_offset)
    return found


def replay_batch(producers: ProducerStates, segment: Segment, batch: ScannedBatch) -> AbortedTransaction | None:
    """Note a producer's batch read back from a segment; returns the transaction that it aborted, if any."""
    if not batch.is_control:
        producers.apply_data(batch, batch.base_offset)
        return None
    try:
        marker = decode_marker(segment.read(batch.position, batch.size_bytes))
    except CorruptRecords as error:
        logger.warning("%s: control batch at offset %d: %s", segment.path(LOG), batch.base_offset, error)
        return None
    if marker is None:
        return None
    return producers.apply_marker(
        batch.producer_id, batch.producer_epoch, marker.coordinator_epoch, commit=marker.commit,
        offset=batch.base_offset, timestamp_ms=batch.max_timestamp, high_watermark=NO_BOUND,
    )  # fmt: skip


def find_aborted(disk: Disk, directory: str, segments: Sequence[Segment], wanted: Segment) -> list[AbortedTransaction]:
    """The aborted transactions whose markers lie in one segment, found from the batches."""
    path = f"{directory}/{segment_file(wanted.base_offset, SNAPSHOT)}"
    try:
        start, producers = wanted.base_offset, ProducerStates(decode_snapshot(read_file(disk, path)))
    except ValueError:
        start, producers = segments[0].base_offset, ProducerStates()
    upto = [segment for segment in segments if segment.base_offset <= wanted.base_offset]
    found = [
        (segment, replay_batch(producers, segment, batch))
        for segment, batch in _batches_from(upto, start)
        if batch.producer_id >= 0
    ]
    return [aborted for segment, aborted in found if aborted is not None and segment is wanted]


def _batches_from(segments: Sequence[Segment], offset: int) -> Iterator[tuple[Segment, ScannedBatch]]:
    """The good batches from an offset on, each with its segment."""
    for index, segment in enumerate(segments):
        bound = segments[index + 1].base_offset if index + 1 < len(segments) else NO_BOUND
        if bound > offset:
            for found in segment.scan(bound=bound):
                if isinstance(found, ScannedBatch) and found.base_offset >= offset:
                    yield segment, found
