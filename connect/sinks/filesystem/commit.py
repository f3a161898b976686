"""Commits to a lake: stage files, create the manifest that makes them count, rename them; and recovery. Shell.

Runs in threads. Every step may fail and be tried again, may have happened although it failed, and may be cut off by
kill -9: names of staged files are never used twice, a manifest that is already ours counts as created, and a rename
that was already done counts as done. Tested in tests/connect/sinks/test_commit.py, with a kill at every step.
"""

import contextlib
import logging
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ....core.errors import Fenced, Retriable, StorageError
from ....core.filesystems.filesystem import FileSystem
from .manifest import KEPT, CommittedFile, Manifest, decode, encode, manifest_name, start_of

log = logging.getLogger(__name__)

# Closing a file in HDFS waits for its DataNode to report, up to half a second: files are closed side by side.
PARALLEL_FILES = 8


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file of a commit that is still to be written. final: its absolute path."""

    final: str
    rows: int
    data: bytes | memoryview


@dataclass(slots=True)
class Pending:
    """A commit in progress, and how far it has come: `manifest` is set once every file is staged."""

    end: int
    files: Sequence[NewFile]
    manifest: Manifest | None = None
    manifest_created: bool = False


@dataclass(slots=True)
class PartitionCommits:
    """All commits of one topic-partition by one task.

    staged_directory and manifest_directory belong to this connector and topic-partition alone.
    """

    filesystem: FileSystem
    topic: str
    partition: int
    staged_directory: str
    manifest_directory: str
    writer: str = field(default_factory=lambda: uuid.uuid4().hex)
    start: int = 0
    _swept: bool = False
    _left_behind: bool = False

    def recover(self) -> int | None:
        """Finish the newest commit. Returns the next offset to read, or None when nothing was committed yet."""
        starts = self._manifest_starts()
        if not starts:
            return None
        newest = self._read(starts[-1])
        self._rename(newest)
        self.start = newest.end
        return newest.end

    def commit(self, pending: Pending) -> None:
        """Bring a commit to its end. After a Retriable, call it again with the same value.

        Raises Fenced when another task has committed from the same start.
        """
        if pending.end <= self.start:
            raise StorageError(
                f"{self.topic}-{self.partition}: offsets up to {self.start} are committed already, and now comes "
                f"{pending.end}: was the topic deleted and made anew? Give the connector another logs.dir and "
                f"topics.dir"
            )
        if pending.manifest is None:
            pending.manifest = self._stage(pending)
        if not pending.manifest_created:
            self._create(pending.manifest)
            pending.manifest_created = True
        self._rename(pending.manifest)
        self._tidy()
        self.start = pending.end

    def _stage(self, pending: Pending) -> Manifest:
        paths = [f"{self.staged_directory}/{self.writer}-{uuid.uuid4().hex}" for _ in pending.files]
        try:
            with ThreadPoolExecutor(PARALLEL_FILES, thread_name_prefix="stage") as threads:
                staged = list(threads.map(self._write, pending.files, paths))
        except (Retriable, StorageError):
            self._left_behind = True
            self._remove_staged(paths)
            raise
        return Manifest(self.topic, self.partition, self.start, pending.end, self.writer, tuple(staged))

    def _remove_staged(self, paths: Sequence[str]) -> None:
        """The next try writes them all anew, and a disk that is full needs the room.

        Up to the first that cannot be removed: a store that is away would be asked for each of them, for minutes. What
        stays is removed after the next commit.
        """
        with contextlib.suppress(Retriable, StorageError):
            for path in paths:
                self.filesystem.delete(path)

    def _write(self, file: NewFile, path: str) -> CommittedFile:
        writer = self.filesystem.open_write(path)
        try:
            writer.write(file.data)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        return CommittedFile(staged=path, final=file.final, rows=file.rows, bytes=len(file.data))

    def _create(self, manifest: Manifest) -> None:
        path = f"{self.manifest_directory}/{manifest.name}"
        try:
            self.filesystem.create_exclusive(path, encode(manifest))
        except FileExistsError:
            if self._read(manifest.start) != manifest:
                raise self._fenced(manifest, manifest.start) from None
        newest = self._manifest_starts()[-1]
        if newest > manifest.start:
            self.filesystem.delete(path)
            raise self._fenced(manifest, newest)

    def _fenced(self, manifest: Manifest, start: int) -> Fenced:
        for file in manifest.files:
            self.filesystem.delete(file.staged)
        return Fenced(
            f"{self.topic}-{self.partition}: another task has committed from offset {start}; this one is out of date"
        )

    def _rename(self, manifest: Manifest) -> None:
        with ThreadPoolExecutor(PARALLEL_FILES, thread_name_prefix="rename") as threads:
            list(threads.map(self._rename_one, manifest.files))

    def _rename_one(self, file: CommittedFile) -> None:
        try:
            self.filesystem.rename(file.staged, file.final)
        except FileExistsError:
            self._check_same(file)
            self.filesystem.delete(file.staged)
        except FileNotFoundError:
            if not self.filesystem.exists(file.final):
                log.warning("%s was committed before and is gone: it was removed from outside", file.final)

    def _check_same(self, file: CommittedFile) -> None:
        """A file that is there already is ours from a rename that was done before, unless its size says otherwise."""
        folder = file.final.rsplit("/", 1)[0]
        sizes = {info.path.rsplit("/", 1)[-1]: info.size_bytes for info in self.filesystem.list(folder)}
        size = sizes.get(file.final.rsplit("/", 1)[-1])
        if size is not None and size != file.bytes:
            raise StorageError(
                f"{file.final} holds other data ({size} bytes, expected {file.bytes}): was the topic deleted and made "
                f"anew, or does another connector write it to the same topics.dir? Move the old files away, or give "
                f"the connector another topics.dir"
            )

    def _tidy(self) -> None:
        """Remove old manifests and, once a commit of ours has fenced them off, what other writers left staged."""
        starts = self._manifest_starts()
        for start in starts[:-KEPT]:
            self.filesystem.delete(f"{self.manifest_directory}/{manifest_name(start)}")
        if self._left_behind:  # a store that was away could not delete what a failed try had staged
            for info in self.filesystem.list(self.staged_directory):
                if info.name.startswith(self.writer):
                    self.filesystem.delete(info.path)
            self._left_behind = False
        if self._swept:
            return
        for info in self.filesystem.list(self.staged_directory):
            if not info.name.startswith(self.writer):
                self.filesystem.delete(info.path)
        for info in self.filesystem.list(self.manifest_directory):
            if start_of(info.name) is None and not info.is_directory:
                self.filesystem.delete(info.path)
        self._swept = True

    def _manifest_starts(self) -> list[int]:
        found = (start_of(info.name) for info in self.filesystem.list(self.manifest_directory))
        return sorted(start for start in found if start is not None)

    def _read(self, start: int) -> Manifest:
        path = f"{self.manifest_directory}/{manifest_name(start)}"
        return decode(self.filesystem.read(path), path)
