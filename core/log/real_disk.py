"""The machine's own file system behind ports.Disk. Shell.

A file whose descriptor is high is not kept: logs may be more than files may be open.
Files are read with pread into fresh bytes and never mapped. Per 1 MB with its checksum: pread 230 us, a mapping
for each read 184 us, one mapping for good 112 us; for that a mapping brings SIGBUS on a bad sector or a cut file.
What need not be read goes from file to socket by sendfile, where that is Linux's.
The lock is flock, for our own processes, and fcntl's record lock, which is the one that Apache Kafka takes.
Tested in tests/core/log/test_real_disk.py.
"""

import fcntl
import os
import resource
import sys
from collections.abc import Sequence

from ..errors import DataDirectoryInUse
from ..ports import Buffer

BUFFERS_PER_CALL = 1024  # IOV_MAX on Linux and macOS
KEPT_OPEN = 0.5
"""Of the descriptors that the process may have, those below this part of them may stay with logs; connections, and what
is open for a moment, have the others. A limit below 0 is none."""
LINUX = sys.platform == "linux"
OTHER_PROGRAM = "another program, such as Apache Kafka"


class RealFile:
    """An open file descriptor. It closes itself when the last reader lets go of it.

    The system gives the lowest number that is free: a high one tells that all below it are taken.
    """

    __slots__ = ("_descriptor", "is_one_too_many", "path")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.is_one_too_many = 0 < KEPT_OPEN * resource.getrlimit(resource.RLIMIT_NOFILE)[0] < descriptor

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        if len(buffers) <= BUFFERS_PER_CALL:
            wanted = sum(map(len, buffers))
            if os.pwritev(self._descriptor, buffers, position) == wanted:
                return
        self._write_in_parts(buffers, position)

    def _write_in_parts(self, buffers: Sequence[Buffer], position: int) -> None:
        """As write_at, for more buffers than one call takes, and after a short write (a full disk gives one first)."""
        for buffer in buffers:
            rest = memoryview(buffer)
            while rest:
                written = os.pwrite(self._descriptor, rest, position)
                position += written
                rest = rest[written:]

    def read_at(self, position: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, position)
        while len(data) < size:  # the end of the file, or a read that a signal cut short
            more = os.pread(self._descriptor, size - len(data), position + len(data))
            if not more:
                break
            data += more
        return data

    def fileno(self) -> int:
        return self._descriptor if LINUX else -1

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class RealLock:
    """The open lock file; the locks end with its descriptor, so also when the process is killed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class RealDisk:
    """Implements ports.Disk on the operating system's calls."""

    def open(self, path: str, *, create: bool = False) -> RealFile:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
        try:
            return RealFile(path, os.open(path, flags, 0o644))
        except PermissionError:
            if create or os.stat(path).st_mode & 0o222:
                raise
            # Marked as one that is never written to, as Kafka marks its snapshots.
            return RealFile(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def list_directory(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def make_directory(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def remove_directory(self, path: str) -> None:
        os.rmdir(path)

    def rename(self, source: str, target: str) -> None:
        os.replace(source, target)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def modified_ms(self, path: str) -> int:
        return os.stat(path).st_mtime_ns // 1_000_000

    def set_modified_ms(self, path: str, time_ms: int) -> None:
        os.utime(path, ns=(time_ms * 1_000_000, time_ms * 1_000_000))

    def sync_directory(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: str, holder: str) -> RealLock:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        held_by = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held_by = OTHER_PROGRAM
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise DataDirectoryInUse(held_by or OTHER_PROGRAM) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        return RealLock(descriptor)
