"""Getting what was appended to one log onto the medium, and what belongs beside it. Shell; on the committer's thread.

Order: leader epochs, sealed segments, the active one, names; then the flushed offset moves and who waits is told. After
that, with nobody waiting: index entries, producer snapshots, removal of old segments, and the recovery point follows.
A failed sync is final: what the kernel did with the pages is unknown, so the log takes nothing more.
Tested in tests/core/log/test_partition_log.py and by simulation in test_crashes.py.
"""

import errno
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import StorageError
from ..ports import Disk
from .file_names import DELETED, SNAPSHOT, segment_file
from .files import exchange_file, replace_file
from .segments.segment import NO_BOUND, Segment

logger = logging.getLogger(__name__)

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
"""The process, or the machine, has too many open files."""
Growing = Callable[[], tuple[int, Segment]]


class Flusher:
    """What of a log waits for the medium. The log's own thread adds, the committer's takes."""

    def __init__(
        self, disk: Disk, path: str, *, flushed_offset: int, new_files: dict[str, bytes], complete: bool
    ) -> None:
        self.flushed_offset = flushed_offset
        self.recovery_point = flushed_offset
        self._why_failed: str | None = None
        self.lock = threading.Lock()
        self._disk = disk
        self._path = path
        self._one_at_a_time = threading.Lock()
        self._cleaning_up = threading.Lock()
        self._unsynced: list[Segment] = []
        self._unfinished: list[Segment] = []
        self._snapshots: list[tuple[int, bytes]] = []
        self._between: tuple[int, bytes] | None = None
        self._stray_snapshot = -1
        self._files: dict[str, bytes] = dict(new_files)
        self._complete_at = flushed_offset if complete else -1
        self._doomed: list[tuple[Segment, int]] = []
        self._deleted: list[tuple[Segment, int]] = []
        self._names_changed = self._new = bool(new_files)

    @property
    def failure(self) -> StorageError | None:
        """Why the log takes and gives nothing more. Made anew: one that was raised keeps all that its traceback leads
        to."""
        return None if self._why_failed is None else StorageError(self._why_failed)

    def abandon(self, why: str) -> None:
        """Every later use is refused; the files of segments that are to go are let go of."""
        self._why_failed = self._why_failed or why
        with self.lock:
            gone = [segment for segment, _ in (*self._doomed, *self._deleted)]
        for segment in gone:
            segment.release()
            segment.unload()

    def add_sealed(self, segment: Segment, snapshot_offset: int, snapshot: bytes) -> None:
        """A segment is followed by a new one; the producer snapshot is of the border. The caller holds the lock."""
        self._unsynced.append(segment)
        self._unfinished.append(segment)
        self._snapshots.append((snapshot_offset, snapshot))
        self._names_changed = True

    def add_snapshot(self, offset: int, snapshot: bytes) -> None:
        """The producers' state within the active segment, so that a recovery need not read that from its start."""
        with self.lock:
            self._between = (offset, snapshot)

    def add_file(self, name: str, data: bytes) -> None:
        """A small file of the log, such as the leader epochs, is to be replaced before more counts as flushed."""
        with self.lock:
            self._files[name] = data

    def add_doomed(self, segments: Sequence[Segment], due_ms: int) -> None:
        """The next tidy() renames their files to .deleted; they go with the first remove_deleted() from due_ms on."""
        with self.lock:
            self._doomed += [(segment, due_ms) for segment in segments]
            self._unsynced = _without(self._unsynced, segments)
            self._unfinished = _without(self._unfinished, segments)

    def add_deleted(self, segments: Sequence[Segment], due_ms: int) -> None:
        """As add_doomed, of segments whose files are renamed already."""
        with self.lock:
            self._deleted += [(segment, due_ms) for segment in segments]

    def remove_deleted(self, now_ms: int) -> None:
        """Remove the .deleted files that are due. Blocks; a failure is logged and tried again."""
        with self._cleaning_up:
            if self.failure is None:
                self._remove_deleted(now_ms)

    def _remove_deleted(self, now_ms: int) -> None:
        with self.lock:
            due = [entry for entry in self._deleted if entry[1] <= now_ms]
            self._deleted = [entry for entry in self._deleted if entry[1] > now_ms]
        for number, (segment, _) in enumerate(due):
            try:
                segment.unlink()
            except OSError as error:
                if self.failure is None:
                    logger.warning("%s: deleted segments cannot be removed yet: %s", self._path, error)
                    with self.lock:
                        self._deleted += due[number:]
                return

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """While segments are exchanged. Raises StorageError when the log has failed or is gone."""
        with self._cleaning_up:
            if self.failure is not None:
                raise self.failure
            yield

    def idle(self, *, wait: bool) -> bool:
        """Whether no other thread is at the log's files; once `failure` is set none comes to them any more."""
        for lock in (self._one_at_a_time, self._cleaning_up):
            if not lock.acquire(blocking=wait):
                return False
            lock.release()
        return True

    def fail(self, error: OSError) -> StorageError:
        """Take the log offline for good, unless it is already, as one is that was deleted during a sync."""
        if self._why_failed is None:
            self._why_failed = f"{self._path}: offline since its disk failed: {error}; restart once it is sound"
            logger.critical("%s", self._why_failed)
        return StorageError(self._why_failed)

    def not_written(self, segment: Segment, error: OSError) -> StorageError:
        """What a failed append means: on a full or read-only disk the log goes on afterwards, else it is offline."""
        full = error.errno in FULL_DISK
        if error.errno in NO_DESCRIPTORS:  # It could not even be opened.
            return StorageError(f"{self._path}: nothing was appended: {error}; close connections or raise `ulimit -n`")
        try:
            if error.errno != errno.EROFS:
                segment.cut(segment.size_bytes)
            elif segment.file.size() > segment.size_bytes:
                return self.fail(error)  # Half of it was written, and cannot be cut off.
        except OSError as cut_error:
            return self.fail(cut_error)
        if full or error.errno == errno.EROFS:
            cause, remedy = ("full", "make room") if full else ("read-only", "make it writable")
            return StorageError(
                f"{self._path}: nothing was appended, the disk is {cause}: {error}; {remedy} and try again"
            )
        return self.fail(error)

    def flush(self, growing: Growing) -> int:
        """Sync all that was appended so far; returns the offset below which everything is on the medium.

        growing: the log's end and its active segment, read while the lock is held. Raises StorageError.
        """
        with self._one_at_a_time:
            if self.failure is not None:
                raise self.failure
            try:
                self._write_files()
            except StorageError:
                self._put_doomed_aside()
                raise
            with self.lock:
                end_offset, active = growing()
                unsynced, self._unsynced = self._unsynced, []
                names_changed, self._names_changed = self._names_changed, False
            try:
                for segment in unsynced:
                    segment.sync()
                if end_offset > self.flushed_offset:
                    active.sync()
                if names_changed:
                    self._disk.sync_directory(self._path)
                    if self._new:
                        self._disk.sync_directory(self._path.rpartition("/")[0])
                        self._new = False
            except OSError as error:
                if error.errno in NO_DESCRIPTORS:
                    self._put_back(unsynced, names_changed=names_changed)
                    raise StorageError(
                        f"{self._path}: not synced yet: {error}; close connections or raise `ulimit -n`"
                    ) from error
                raise self.fail(error) from error
            self.flushed_offset = end_offset
            return end_offset

    def _put_back(self, unsynced: Sequence[Segment], *, names_changed: bool) -> None:
        """What a flush took and could not open: no sync has failed, and the next flush begins anew."""
        with self.lock:
            gone = [segment for segment, _ in (*self._doomed, *self._deleted)]
            self._unsynced = [*_without(list(unsynced), gone), *self._unsynced]
            self._names_changed |= names_changed

    def _write_files(self) -> None:
        """Leader epochs go first, so that a batch on the medium is as a rule of an epoch that is noted there."""
        while self._files:
            with self.lock:
                files, self._files = self._files, {}
            try:
                for name, data in files.items():
                    exchange_file(self._disk, f"{self._path}/{name}", data)
                    self._names_changed = True
            except OSError as error:
                with self.lock:
                    self._files = files | self._files
                raise StorageError(f"{self._path}: {', '.join(files)} cannot be written: {error}") from error

    def tidy(self, growing: Growing) -> None:
        """Write what nobody waits for. A failure is logged, and all is tried again after the next flush."""
        with self._one_at_a_time:
            if self.failure is not None:
                return
            try:
                self._complete_files(growing)
            except OSError as error:
                if self.failure is None:
                    logger.warning("%s: indexes and snapshots are not up to date: %s", self._path, error)
            self._put_doomed_aside()
            growing()[1].spare()

    def _complete_files(self, growing: Growing) -> None:
        """Index entries and producer snapshots, and the recovery point that follows from them. Raises OSError."""
        with self.lock:
            unfinished, snapshots = list(self._unfinished), list(self._snapshots)
            flushed_offset, active = self.flushed_offset, growing()[1]
            between = self._between
        for segment in unfinished:
            segment.seal()
            segment.sync_indexes()
        for offset, snapshot in snapshots:
            replace_file(self._disk, f"{self._path}/{segment_file(offset, SNAPSHOT)}", snapshot)
        active.write_indexes()
        if between is not None and between[0] <= flushed_offset:
            self._write_between(*between, active)
        with self.lock:
            self._unfinished = _without(self._unfinished, unfinished)
            self._snapshots = self._snapshots[len(snapshots) :]
        self.recovery_point = flushed_offset

    def _put_doomed_aside(self) -> None:
        """Rename the files of segments that are to go. On a full disk too: that is how there comes to be room."""
        with self.lock:
            doomed = list(self._doomed)
        moved = 0
        try:
            for segment, _ in doomed:
                segment.hold()
                segment.move(DELETED, snapshot=True)
                moved += 1
        except OSError as error:
            if self.failure is None:
                logger.warning("%s: old segments cannot be put aside yet: %s", self._path, error)
        with self.lock:
            self._doomed = self._doomed[moved:]
            self._deleted += doomed[:moved]

    def _write_between(self, offset: int, snapshot: bytes, active: Segment) -> None:
        """The aborted transactions before it are on the medium first: a recovery looks for none there."""
        if offset > active.base_offset:
            active.sync_indexes()
            self._disk.sync_directory(self._path)
            self._write_snapshot(offset, snapshot)
        with self.lock:
            if self._between == (offset, snapshot):
                self._between = None

    def _write_snapshot(self, offset: int, snapshot: bytes) -> None:
        replace_file(self._disk, f"{self._path}/{segment_file(offset, SNAPSHOT)}", snapshot)
        stray = f"{self._path}/{segment_file(self._stray_snapshot, SNAPSHOT)}"
        if self._stray_snapshot not in (-1, offset) and self._disk.exists(stray):
            self._disk.unlink(stray)
        self._stray_snapshot = offset

    def finish(self, growing: Growing, snapshot: bytes) -> None:
        """After the last flush: complete every file that is not. Raises StorageError."""
        self.tidy(growing)
        self.remove_deleted(NO_BOUND)
        end_offset, active = growing()
        try:
            if end_offset != self._complete_at:
                active.seal()
                active.sync_indexes()
                self._write_snapshot(end_offset, snapshot)
        except OSError as error:
            raise StorageError(f"{self._path} cannot be closed cleanly: {error}") from error
        if self._unfinished or self._snapshots:
            raise StorageError(f"{self._path} cannot be closed cleanly: indexes or snapshots could not be written")

    def unload(self, segment: Segment) -> None:
        """Close a sealed segment until it is read again, unless its files are not complete yet."""
        with self.lock:
            if segment not in self._unfinished and segment not in self._unsynced:
                segment.unload()


def _without(segments: list[Segment], gone: Sequence[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment not in gone]
