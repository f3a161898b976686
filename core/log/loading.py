"""Opening a log directory after any kind of end: what holds, what is cut, what is reported. Shell over Segment.

After a clean shutdown only the last index interval is read. After a crash every segment from the recovery point on is:
the first bytes at or above it that are no good batch end the log, they were never acknowledged; damage below it stays
where it is and is reported. All that holds is on the medium, names included, before the log takes appends.
Tested in tests/core/log/test_loading.py, by simulation in test_crashes.py and with kill -9 in test_kill.py.
"""

import logging
from dataclasses import dataclass, field, replace

from ..ports import Disk
from .checkpoints import format_epochs, parse_epochs
from .compaction.segment_swap import complete_swaps
from .file_names import (
    CLEANED,
    DELETED,
    LEADER_EPOCHS,
    LOG,
    SNAPSHOT,
    TEMPORARY,
    TRANSACTION_INDEX,
    parse_segment_file,
    segment_file,
)
from .files import read_file, replace_file
from .leader_epochs import EpochRuns, LeaderEpochs
from .log_damage import LogDamage
from .producers.producer_snapshot import decode_snapshot
from .producers.producer_state import NO_OFFSET, ProducerStates
from .producers.replay import batches_from, replay_batch
from .segments.batch_scan import Damage, ScannedBatch, scan_batches
from .segments.segment import NO_BOUND, Segment

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
    """A log's state as found. new_files: of a log just made, to be synced before anything of it counts.

    complete: its files are those that a clean shutdown leaves, so that with nothing appended none has to be written.
    """

    segments: list[Segment]
    end_offset: int
    log_start_offset: int
    epochs: LeaderEpochs
    producers: ProducerStates = field(default_factory=ProducerStates)
    damaged: list[LogDamage] = field(default_factory=list)
    new_files: dict[str, bytes] = field(default_factory=dict)
    complete: bool = False


class Loader:
    """Opens one log directory, once."""

    def __init__(self, disk: Disk, directory: str, point: LoadPoint, *, index_interval: int) -> None:
        self._disk = disk
        self._directory = directory
        self._point = point
        self._index_interval = index_interval
        self._damaged: list[LogDamage] = []
        self._changed: list[Segment] = []
        self._resumed: list[Segment] = []
        self._runs = EpochRuns()

    def load(self) -> LoadedLog:
        """The log, ready for appends. Raises OSError."""
        names = complete_swaps(self._disk, self._directory, self._disk.list_directory(self._directory))
        self._remove_leftovers(names)
        segments, end_offset = self._load_segments(self._find_segments(names))
        recovery_point = self._point.recovery_point
        if self._point.clean and recovery_point > 0 and end_offset != recovery_point:
            logger.warning("%s ends at %d, not at its recovery point %s", self._directory, end_offset, self._point)
            self._point = replace(self._point, clean=False)
            self._damaged.clear()
            self._changed.clear()
            self._resumed.clear()
            segments, end_offset = self._load_segments(self._find_segments(names))
        epochs = self._read_epochs()
        noted = epochs.entries()
        loaded = LoadedLog(segments, end_offset, 0, epochs, damaged=self._damaged)
        loaded.log_start_offset = min(max(self._point.log_start_offset, segments[0].base_offset), end_offset)
        self._replay(loaded)
        for segment in self._changed:
            segment.sync()
            if segment is not segments[-1]:
                segment.seal()
                segment.sync_indexes()
                segment.unload()
        if epochs.entries() != noted:
            replace_file(self._disk, f"{self._directory}/{LEADER_EPOCHS}", format_epochs(epochs.entries()))
        if not self._point.clean or self._changed:
            self._disk.sync_directory(self._directory)
        segments[-1].spare()
        return loaded

    def _remove_leftovers(self, names: list[str]) -> None:
        logs = {parsed[0] for name in names if (parsed := parse_segment_file(name)) and parsed[1] == LOG}
        for name in names:
            parsed = parse_segment_file(name)
            orphan = parsed is not None and parsed[1] not in (LOG, SNAPSHOT) and parsed[0] not in logs
            if orphan or name.endswith((DELETED, CLEANED, TEMPORARY)):
                self._disk.unlink(f"{self._directory}/{name}")

    def _read_epochs(self) -> LeaderEpochs:
        """The noted leader epochs; none when the file cannot be believed, so that they are found anew."""
        data = read_file(self._disk, f"{self._directory}/{LEADER_EPOCHS}")
        try:
            epochs = LeaderEpochs(parse_epochs(data) if data else [])
            if self._runs.contradict(epochs):
                raise ValueError("most batches are of other epochs")
        except ValueError as error:
            logger.warning("%s/%s is damaged and made anew: %s", self._directory, LEADER_EPOCHS, error)
            return LeaderEpochs()
        return epochs

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

    def _load_segments(self, segments: list[Segment]) -> tuple[list[Segment], int]:
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
            end_offset, cut = self._examine(segment, bound=bound, whole=not point.clean)
            if cut:
                self._drop(segments[index + 1 :], f"the log was cut at offset {end_offset}")
                return self._ready(segments[: index + 1], end_offset), end_offset
        return self._ready(segments, end_offset), end_offset

    def _examine(self, segment: Segment, *, bound: int, whole: bool) -> tuple[int, bool]:
        """Where the segment's offsets end, and whether the log ends there. Its indexes are up to date after that."""
        position, expected = 0, segment.base_offset
        if whole:
            position = self._begin(segment)
        else:
            position = segment.offsets().last[1]
            segment.resume_indexes()
        for found in scan_batches(
            segment.read, position=position, end=segment.size_bytes, expected=expected, bound=bound,
            epochs=LeaderEpochs(), search_below=NO_BOUND if self._point.clean else self._point.recovery_point,
        ):  # fmt: skip
            found = self._doubted(found, expected, last=bound == NO_BOUND)
            if isinstance(found, ScannedBatch):
                segment.note_batch(found.position, found.size_bytes, found.next_offset - 1, found.max_timestamp)
                self._runs.add(found.leader_epoch, found.base_offset)
                expected = found.next_offset
            elif position and (not whole or found.first_offset < self._point.recovery_point):
                self._resumed.clear()
                return self._examine(segment, bound=bound, whole=True)
            elif not self._point.clean and found.first_offset >= self._point.recovery_point:
                logger.warning(
                    "%s: cut at position %d of %d, offset %d: %s",
                    segment.path(LOG), found.position, segment.size_bytes, found.first_offset, found.cause,
                )  # fmt: skip
                segment.cut(found.position)
                return expected, True
            else:
                noted = self._report(segment, found, bound)
                expected = noted.next_offset
                if noted.end_position != found.end_position:
                    return expected, True
        return expected, False

    def _begin(self, segment: Segment) -> int:
        """Where to examine a segment from: the recovery point, as its index has it, but only once."""
        resumable = segment not in self._changed and segment.base_offset < self._point.recovery_point
        if segment not in self._changed:
            self._changed.append(segment)
        if not self._point.clean and resumable:
            position = segment.resume_indexes_below(self._point.recovery_point)
            if position:
                self._resumed.append(segment)
            return position
        segment.start_indexes()
        return 0

    def _doubted(self, found: ScannedBatch | Damage, expected: int, *, last: bool) -> ScannedBatch | Damage:
        """Damage instead of a batch whose base offset cannot be.

        The recovery point lies between two batches, and the last segment has no gap from there on.
        """
        point = self._point
        if isinstance(found, Damage) or point.clean or found.base_offset == expected:
            return found
        if found.next_offset <= point.recovery_point or (found.base_offset >= point.recovery_point and not last):
            return found
        cause = f"offsets {found.base_offset} to {found.next_offset - 1}, where {expected} comes next"
        return Damage(found.position, found.position + found.size_bytes, expected, -1, cause)

    def _report(self, segment: Segment, damage: Damage, bound: int) -> LogDamage:
        """Note damage below the recovery point, up to the next good batch or segment.

        When that lies above the recovery point, batches are lost that were never acknowledged: the log ends with the
        damage, and what comes behind it in the file is part of that.
        """
        recovery_point = max(self._point.recovery_point, damage.first_offset + 1)
        lost_to, end_position = damage.next_offset, damage.end_position
        if lost_to == -1:
            lost_to = bound
        if lost_to > recovery_point and (not self._point.clean or lost_to == NO_BOUND):
            lost_to, end_position = recovery_point, segment.size_bytes
        noted = LogDamage(
            segment.base_offset, damage.position, end_position, damage.first_offset, lost_to, damage.cause
        )
        self._damaged.append(noted)
        logger.error(
            "%s: offsets %d to %d are lost: %s", segment.path(LOG), noted.first_offset, lost_to - 1, noted.cause
        )
        return noted

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
            segment.unload()
            segment.unlink()
            self._disk.sync_directory(self._directory)

    # Producers.

    def _replay(self, loaded: LoadedLog) -> None:
        """Producer state, new leader epochs and the transaction indexes of the segments that were examined."""
        changed = {segment.base_offset for segment in self._changed}
        unknown = not loaded.epochs.entries()
        anew = [segment.base_offset for segment in self._changed if segment not in self._resumed]
        limit = min([*anew, *(self._point.recovery_point for _ in self._resumed)], default=NO_BOUND)
        start, loaded.producers = self._snapshot(loaded, limit=-1 if unknown else limit)
        loaded.complete = self._point.clean and start == loaded.end_offset and not self._changed
        for segment in self._changed:
            segment.set_aborted(segment.saved_aborted(start) if segment.base_offset < start else [])
        runs = EpochRuns()
        for segment, batch in batches_from(loaded.segments, start):
            runs.add(batch.leader_epoch, batch.base_offset)
            if batch.producer_id < 0:
                continue
            aborted = replay_batch(loaded.producers, segment, batch)
            if aborted is not None and segment.base_offset in changed:
                segment.note_aborted(aborted)
        for epoch, start_offset in runs.believable():
            if epoch > loaded.epochs.latest:
                loaded.epochs.assign(epoch, start_offset)
        loaded.epochs.truncate_end(loaded.end_offset)

    def _snapshot(self, loaded: LoadedLog, *, limit: int) -> tuple[int, ProducerStates]:
        """The newest producer snapshot that holds, up to `limit`, and its offset.

        Those beyond the log's end go, and those within a segment but for the newest.
        """
        borders = {segment.base_offset for segment in loaded.segments}
        names = self._disk.list_directory(self._directory)
        offsets = [parsed[0] for name in names if (parsed := parse_segment_file(name)) and parsed[1] == SNAPSHOT]
        for offset in sorted(offsets, reverse=True):
            path = f"{self._directory}/{segment_file(offset, SNAPSHOT)}"
            if offset > loaded.end_offset:
                self._disk.unlink(path)
            elif offset <= limit:
                try:
                    producers = decode_snapshot(read_file(self._disk, path))
                except ValueError as error:
                    logger.warning("%s is removed: %s", path, error)
                    self._disk.unlink(path)
                else:
                    for older in offsets:
                        if older < offset and older not in borders:
                            self._disk.unlink(f"{self._directory}/{segment_file(older, SNAPSHOT)}")
                    alive = [known for known in producers if _is_alive(known.transaction_start, loaded)]
                    return offset, ProducerStates(alive)
        return loaded.segments[0].base_offset, ProducerStates()


def _is_alive(transaction_start: int, loaded: LoadedLog) -> bool:
    return transaction_start == NO_OFFSET or transaction_start < loaded.end_offset
