"""The .checkpoint files beside the metadata log: found, read, written so that they are whole, removed. Shell.

A snapshot is written under another name, synced, renamed, and its name synced: what stands under its own name was
written to its end, whatever the crash. Nothing may be removed on account of one before write() has returned.
Source: FileRawSnapshotWriter and Snapshots of Kafka 4.3.1. Tested in tests/core/broker/test_snapshot_files.py.
"""

import contextlib
from collections.abc import Iterable

from ...coordinators.cluster_snapshot import read_snapshot
from ...coordinators.snapshot_rules import KnownSnapshot, SnapshotId
from ...log.file_names import METADATA_SNAPSHOT, UNFINISHED, metadata_snapshot_file, parse_metadata_snapshot
from ...log.files import read_file, write_new_file
from ...ports import Disk
from ...wire.message import Message


class SnapshotFiles:
    """Of one folder. Everything blocks, and may raise OSError."""

    def __init__(self, disk: Disk, folder: str) -> None:
        self._disk = disk
        self._folder = folder

    def found(self) -> list[SnapshotId]:
        """All that are there, the oldest first."""
        parsed = map(parse_metadata_snapshot, self._disk.list_directory(self._folder))
        return sorted(SnapshotId(*one) for one in parsed if one is not None)

    def path(self, snapshot_id: SnapshotId) -> str:
        return f"{self._folder}/{metadata_snapshot_file(*snapshot_id)}"

    def read(self, snapshot_id: SnapshotId) -> list[Message | None]:
        """What a snapshot holds, None for what is not kept here. Raises CorruptRecords where it is damaged."""
        return read_snapshot(read_file(self._disk, self.path(snapshot_id)))

    def known(self, snapshot_id: SnapshotId) -> KnownSnapshot:
        """Its size and age."""
        path = self.path(snapshot_id)
        file = self._disk.open(path)
        try:
            return KnownSnapshot(snapshot_id, file.size(), self._disk.modified_ms(path))
        finally:
            file.close()

    def write(self, snapshot_id: SnapshotId, parts: Iterable[bytes]) -> int:
        """How many bytes it has, once it and its name are on the medium."""
        path = self.path(snapshot_id)
        unfinished = path + UNFINISHED
        size_bytes = 0
        file = write_new_file(self._disk, unfinished, b"")
        try:
            for part in parts:
                file.write_at([part], size_bytes)
                size_bytes += len(part)
            file.sync()
        except OSError:
            # A full disk needs the room; what cannot be removed either goes at the next start.
            with contextlib.suppress(OSError):
                self._disk.unlink(unfinished)
            raise
        finally:
            file.close()
        self._disk.rename(unfinished, path)
        self._disk.sync_directory(self._folder)
        return size_bytes

    def remove_below(self, end_offset: int) -> None:
        """Those that end before an offset, damaged ones too."""
        for snapshot_id in self.found():
            if snapshot_id.end_offset < end_offset:
                self._disk.unlink(self.path(snapshot_id))

    def remove_above(self, end_offset: int) -> None:
        """Those that end behind an offset; they are gone for good then."""
        for snapshot_id in self.found():
            if snapshot_id.end_offset > end_offset:
                self._disk.unlink(self.path(snapshot_id))
        self._disk.sync_directory(self._folder)

    def remove_unfinished(self) -> None:
        """What a crash has left half written."""
        for name in self._disk.list_directory(self._folder):
            if name.endswith(METADATA_SNAPSHOT + UNFINISHED):
                self._disk.unlink(f"{self._folder}/{name}")
