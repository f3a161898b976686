"""Putting a cleaned segment in the place of those that it was made from, so that a crash leaves either. Shell.

The steps are Kafka's, each on the medium before the next: .cleaned becomes .swap; the old files get .deleted; .swap
goes from the new ones. Without a .swap file nothing has happened; with all of them the rest is done at the next start,
also of what Kafka itself left half done. Source: LocalLog.replaceSegments and LogLoader of Kafka 4.3.1.
Tested in tests/core/log/test_cleaning.py and by simulation in test_cleaning_crashes.py.
"""

import logging
import time

from ...errors import StorageError
from ...ports import Disk
from ..file_names import CLEANED, DELETED, LOG, SWAP, TRANSACTION_INDEX, parse_segment_file
from ..flushing import NO_DESCRIPTORS, Flusher
from ..leader_epochs import LeaderEpochs
from ..segments.batch_scan import ScannedBatch, scan_batches
from ..segments.segment import NO_BOUND, Segment
from ..segments.segment_list import SegmentList
from .compaction import CleanedGroup

logger = logging.getLogger(__name__)

DESCRIPTOR_WAIT_S = 0.05
DESCRIPTOR_WAITS = 600


def swap_in(
    group: CleanedGroup, segments: SegmentList, flusher: Flusher, disk: Disk, directory: str, due_ms: int
) -> list[Segment]:
    """Exchange a group's segments for the cleaned one; returns the old ones, whose files go from due_ms on.

    Readers go from the old segments to the new one at one moment. Raises StorageError when the log has failed, or has
    lost one of the segments; then the cleaned one is gone.
    """
    old = [segment for segment in segments.layout.segments if segment.base_offset in group.replaced]
    interval = segments.active.index_interval
    new = Segment(
        disk, directory, group.replaced[0], size_bytes=group.size_bytes, index_interval=interval, state=CLEANED
    )
    try:
        if tuple(segment.base_offset for segment in old) != group.replaced:
            raise StorageError(f"{directory}: segments that were cleaned have been deleted meanwhile")
        new.has_aborted = disk.exists(new.path(TRANSACTION_INDEX))
        for segment in (*old, new):
            segment.hold()
        new.move(SWAP)
        disk.sync_directory(directory)
        segments.exchange(old, new)
    except (OSError, StorageError) as error:
        _give_up(new, old)
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{directory}: a cleaned segment could not be put in place: {error}") from error
    try:
        for number, segment in enumerate(old):
            segment.move(DELETED, snapshot=number > 0)
        _sync_patiently(disk, directory)
        new.move("")
        _sync_patiently(disk, directory)
    except OSError as error:
        raise flusher.fail(error) from error
    new.release()
    flusher.add_deleted(old, due_ms)
    return old


def _sync_patiently(disk: Disk, directory: str) -> None:
    """Sync a directory; without a descriptor to open it by nothing was done, and one is waited for. Raises OSError.

    Of a log in which segments are half exchanged nothing else would be left than to take it offline.
    """
    for attempt in range(DESCRIPTOR_WAITS):
        try:
            disk.sync_directory(directory)
        except OSError as error:
            if error.errno not in NO_DESCRIPTORS:
                raise
            if not attempt:
                logger.warning("%s: an exchange of segments waits for a free descriptor: %s", directory, error)
        else:
            return
        time.sleep(DESCRIPTOR_WAIT_S)
    disk.sync_directory(directory)


def _give_up(new: Segment, old: list[Segment]) -> None:
    """Nothing has been exchanged: go back to how it was, as far as the disk lets us; a start does the rest."""
    for segment in old:
        segment.release()
    try:
        new.unlink()
    except OSError as error:
        logger.warning("%s is left behind: %s", new.path(LOG), error)


def complete_swaps(disk: Disk, directory: str, names: list[str]) -> list[str]:
    """Finish or take back exchanges that a crash cut short; returns the names in the directory after that.

    Raises OSError.
    """
    swapped = [name for name in names if name.endswith(SWAP) and parse_segment_file(name.removesuffix(SWAP))]
    if not swapped:
        return names
    cleaned = [_base_of(name, CLEANED) for name in names if name.endswith(CLEANED)]
    half_done = min(cleaned, default=NO_BOUND)
    valid = []
    for name in swapped:
        if _base_of(name, SWAP) >= half_done:
            disk.unlink(f"{directory}/{name}")
        else:
            valid.append(name)
    ranges = [(_base_of(name, SWAP), _end_of(disk, directory, name)) for name in valid if name.endswith(LOG + SWAP)]
    if ranges:
        lowest, highest = min(base for base, _ in ranges), max(end for _, end in ranges)
        logger.warning("%s: an exchange of segments from offset %d on is completed", directory, lowest)
        for name in names:
            parsed = parse_segment_file(name)
            # The state of producers where the exchanged range begins still holds.
            if parsed and lowest <= parsed[0] < highest and not (parsed[0] == lowest and name.endswith(".snapshot")):
                disk.unlink(f"{directory}/{name}")
        disk.sync_directory(directory)
    for name in valid:
        disk.rename(f"{directory}/{name}", f"{directory}/{name.removesuffix(SWAP)}")
    disk.sync_directory(directory)
    return disk.list_directory(directory)


def _base_of(name: str, state: str) -> int:
    parsed = parse_segment_file(name.removesuffix(state))
    return parsed[0] if parsed else NO_BOUND


def _end_of(disk: Disk, directory: str, name: str) -> int:
    """The offset behind the last batch of a .swap file; its first one when it is empty."""
    base = _base_of(name, SWAP)
    segment = Segment(disk, directory, base, size_bytes=0, index_interval=0, state=SWAP)
    segment.size_bytes = segment.file.size()
    end = base
    for found in scan_batches(
        segment.read, position=0, end=segment.size_bytes, expected=base, bound=NO_BOUND, epochs=LeaderEpochs()
    ):
        if isinstance(found, ScannedBatch):
            end = found.next_offset
    segment.unload()
    return max(end, base + 1)
