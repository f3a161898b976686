"""Snapshots of the cluster's metadata: the newest read at the start, new ones taken while the broker runs. Shell.

The event loop takes an image and goes on; a thread writes it. Once it is on the medium old ones may go, and the log's
start follows, to where the oldest that is kept ends: the segments below it go as those of other logs do.
Pure: coordinators/snapshot_rules.py, cluster_image.py, cluster_snapshot.py.
Tested in tests/core/broker/test_metadata_snapshots.py, by simulation in test_snapshot_crashes.py.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial

from ...coordinators.cluster_image import ClusterImage
from ...coordinators.cluster_metadata import ClusterMetadata
from ...coordinators.cluster_snapshot import snapshot_batches
from ...coordinators.snapshot_rules import (
    KnownSnapshot,
    SnapshotId,
    SnapshotSettings,
    is_due,
    is_worth_it_at_the_end,
    outlived,
)
from ...errors import CorruptRecords, StorageError
from ...log.directory import LogDirectory
from ...log.partition_log import PartitionLog
from ...ports import Clock
from ...wire.message import Message
from ..tasks import to_its_end
from .snapshot_files import SnapshotFiles

LOG = logging.getLogger(__name__)

AGAIN_S = 60.0
"""How long after a failure the next snapshot is tried."""
RECORDS_BETWEEN_PAUSES, PAUSE_S = 64, 0.0005


@dataclass(frozen=True, slots=True)
class _Job:
    """A snapshot to write. forgotten: deleted topics that it need not know, once it is there."""

    id: SnapshotId
    image: ClusterImage
    forgotten: Collection[bytes]
    last_contained_ms: int
    grown_bytes: int
    now_ms: int


class MetadataSnapshots:
    """Of one metadata log. load(), then start(); applied() and consider() for each change; close() at the end.

    left: ids of topics of which the next start has to know, though they are deleted: directories of theirs are left.
    """

    def __init__(
        self,
        settings: SnapshotSettings,
        logs: LogDirectory,
        log: PartitionLog,
        metadata: ClusterMetadata,
        left: Collection[bytes],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._logs = logs
        self._log = log
        self._metadata = metadata
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        with logs.held_open() as disk:
            self._files = SnapshotFiles(disk, log.path)
        self._known: list[KnownSnapshot] = []
        self._left = left
        self._end_offset = 0
        self._last_contained_ms = -1
        self._grown_bytes = 0
        self._taken_at_ms = clock.monotonic_ms()
        self._running: _Job | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._resting = False
        """After a failure."""
        self._active = False

    # At the start.

    def load(self) -> int:
        """Applies the newest snapshot that is whole; gives the offset from which the log is to be applied.

        Raises StorageError where the log alone does not tell all.
        """
        try:
            self._files.remove_unfinished()
            self._end_offset = self._load()
        except OSError as error:
            raise StorageError(f"{self._log.path}: snapshots cannot be used: {error}") from error
        return self._end_offset

    def _load(self) -> int:
        log, found = self._log, self._files.found()
        while found and found[-1].end_offset >= log.log_start_offset:
            newest = found[-1]
            try:
                records = self._files.read(newest)
            except (CorruptRecords, OSError) as error:
                LOG.error("%s is damaged, and an older one is looked for: %s", self._files.path(newest), error)
                found.pop()
                continue
            for record in records:
                self._metadata.apply(record)
            if newest.end_offset > log.end_offset:
                newest = found[-1] = self._moved_back(newest)
            self._known = [
                self._files.known(one)
                for one in dict.fromkeys(found)
                if log.log_start_offset <= one.end_offset <= newest.end_offset
            ]
            return newest.end_offset
        if log.log_start_offset > 0:
            raise StorageError(
                f"{log.path} begins at offset {log.log_start_offset}, and there is no whole snapshot (*.checkpoint) "
                f"of what was before; restore one from a backup, or move this directory away to begin with the topics "
                f"that have directories, without their settings"
            )
        return 0

    def _moved_back(self, newest: SnapshotId) -> SnapshotId:
        """The end of the log is lost, and the snapshot knows what it said: it takes the place of what is left.

        Offsets go on at the log's end, so no snapshot may have a later one.
        """
        end_offset = self._log.end_offset
        if not self._metadata.is_whole:
            raise StorageError(
                f"{self._log.path} ends at offset {end_offset}, and {self._files.path(newest)}, which a Kafka has "
                f"written, stands for more; restore the log from a backup"
            )
        LOG.error("%s ends at offset %d; %s holds more", self._log.path, end_offset, self._files.path(newest))
        moved = SnapshotId(end_offset, newest.leader_epoch)
        image, now_ms = self._metadata.image(self._metadata.removed), self._clock.now_ms()
        self._files.write(
            moved,
            snapshot_batches(image.records(), leader_epoch=moved.leader_epoch, last_contained_ms=now_ms, now_ms=now_ms),
        )
        self._files.remove_above(end_offset)
        return moved

    def start(self) -> None:
        """From now on snapshots are taken: the directories agree with what is known.

        Not in a directory that a Kafka has made: they would lack what Kafka alone keeps there, and the way back to it.
        """
        self._active = self._metadata.is_whole
        if not self._active:
            LOG.info("%s holds metadata of a Kafka, and is not shortened here", self._log.path)
        self.consider()

    # While the broker runs.

    def applied(self, end_offset: int, size_bytes: int, time_ms: int) -> None:
        """The metadata hold what the log says before `end_offset`, so many bytes more than last time."""
        self._end_offset = end_offset
        self._last_contained_ms = time_ms
        self._grown_bytes += size_bytes

    def consider(self) -> None:
        """Takes a snapshot if it is time, or sees to it that it will be. Not between a deletion and its renames."""
        if not self._active or self._resting or self._running is not None or self._log.failure is not None:
            return
        since_ms = self._clock.monotonic_ms() - self._taken_at_ms
        interval_ms = self._settings.metadata_log_max_snapshot_interval_ms
        if is_due(self._settings, grown_bytes=self._grown_bytes, since_ms=since_ms):
            self._take()
        elif self._grown_bytes and interval_ms and self._timer is None:
            self._wake_in((interval_ms - since_ms) / 1000)

    def _wake_in(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(max(seconds, 0), self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._resting = False
        self.consider()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self) -> None:
        self._stop_timer()
        job = self._running = self._job()
        self._loop.run_in_executor(None, self._write, job).add_done_callback(partial(self._written, job))

    def _job(self) -> _Job:
        removed = self._metadata.removed
        left = {topic_id: name for topic_id, name in removed.items() if topic_id in self._left}
        return _Job(
            id=SnapshotId(self._end_offset, max(self._log.leader_epoch, 0)),
            image=self._metadata.image(left),
            forgotten=[topic_id for topic_id in removed if topic_id not in left],
            last_contained_ms=self._last_contained_ms,
            grown_bytes=self._grown_bytes,
            now_ms=self._clock.now_ms(),
        )

    def _write(self, job: _Job) -> int:
        """On another thread. The checkpoint comes first: a power cut brings no directory back that it has seen renamed,
        so that the snapshot need not know of the topics that had them."""
        self._logs.checkpoint()
        with self._logs.held_open():
            return self._files.write(
                job.id,
                snapshot_batches(
                    self._gently(job.image.records()),
                    leader_epoch=job.id.leader_epoch,
                    last_contained_ms=job.last_contained_ms,
                    now_ms=job.now_ms,
                ),
            )

    def _gently(self, records: Iterator[Message]) -> Iterator[Message]:
        """The event loop would wait for Python's lock, 5 ms each time; in these pauses it gets it.

        Of 100,000 partitions: 2.4 s and a delay of 29 ms at p99 without, 3.7 s and 9 ms with them, on a busy machine.
        """
        for number, record in enumerate(records):
            if number % RECORDS_BETWEEN_PAUSES == 0 and self._active:
                time.sleep(PAUSE_S)
            yield record

    def _written(self, job: _Job, written: "asyncio.Future[int]") -> None:
        self._running = None
        error = asyncio.CancelledError() if written.cancelled() else written.exception()
        if error is not None:
            if isinstance(error, OSError | StorageError):
                LOG.error("%s: no snapshot could be written: %s", self._log.path, error)
            else:
                LOG.error("%s: no snapshot could be written", self._log.path, exc_info=error)
            if self._active:
                self._resting = True
                self._wake_in(AGAIN_S)
            return
        self._known.append(KnownSnapshot(job.id, written.result(), job.now_ms))
        self._grown_bytes -= job.grown_bytes
        self._taken_at_ms = self._clock.monotonic_ms()
        self._metadata.forget_removed(job.forgotten)
        self._trim(job.now_ms)
        self.consider()

    def _trim(self, now_ms: int) -> None:
        """What retention does not leave: segments go when the broker next looks for old ones."""
        if not self._active or self._log.failure is not None:
            return
        segments = [(one.base_offset, one.size_bytes) for one in self._log.segments.layout.segments]
        count = outlived(self._settings, self._known, segments, now_ms)
        if count:
            del self._known[:count]
            start_offset = self._known[0].id.end_offset
            self._log.delete_records(start_offset)
            self._loop.run_in_executor(None, self._remove_below, start_offset)

    def _remove_below(self, offset: int) -> None:
        """On another thread. What cannot be removed now goes another time, and is not used in between."""
        try:
            with self._logs.held_open():
                self._files.remove_below(offset)
        except (OSError, StorageError) as error:
            LOG.warning("%s: old snapshots are left: %s", self._log.path, error)

    # At the end.

    async def close(self) -> None:
        """Takes no more; but one at last, where that makes the next start shorter."""
        was_active, self._active = self._active, False
        self._stop_timer()
        running = self._running
        grown_bytes = self._grown_bytes - (running.grown_bytes if running is not None else 0)
        last_bytes = self._known[-1].size_bytes if self._known else 0
        worth_it = was_active and is_worth_it_at_the_end(grown_bytes=grown_bytes, snapshot_bytes=last_bytes)
        if worth_it and self._log.failure is None:
            await to_its_end(partial(self._write_last, self._job()))

    def _write_last(self, job: _Job) -> None:
        try:
            self._write(job)
        except (OSError, StorageError) as error:
            LOG.warning("%s: no snapshot at the end, the next start reads the log: %s", self._log.path, error)
