"""The only doors from pure and storage code to the outside: time, randomness and the disk. Shell.

Pure code takes readings of these as plain values; the shells hold the objects.
"""

import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import Protocol


class Clock(Protocol):
    """Two readings: wall-clock time, which may jump, and monotonic time, for spans."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds since an arbitrary start; never goes back."""
        ...


class Rng(Protocol):
    """A source of random bytes."""

    def random_bytes(self, count: int) -> bytes: ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000


class SystemRng:
    """The machine's own entropy."""

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


Buffer = bytes | bytearray | memoryview


class File(Protocol):
    """An open file, written and read at explicit positions only, from any thread."""

    @property
    def is_one_too_many(self) -> bool:
        """Whether so many files are open that it had better be closed after each use."""
        ...

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        """Write all buffers one after the other, in one system call where they fit into one. Raises OSError.

        After an error any part may have been written, at any size of the file; nothing below `position` has changed.
        """
        ...

    def read_at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file. Raises OSError."""
        ...

    def fileno(self) -> int:
        """The descriptor that sendfile takes its bytes from, -1 when only read_at() does."""
        ...

    def sync(self) -> None:
        """Return once the bytes and the size are on the medium. Raises OSError; then nothing is known about them."""
        ...

    def truncate(self, size: int) -> None: ...

    def size(self) -> int: ...

    def close(self) -> None:
        """Give the file back. Harmless when repeated."""
        ...


SMALLEST_RANGE_BYTES = 64 * 1024
"""Fewer are better read at once: that costs as little, and they go out together with what stands around them."""


class FileRange:
    """Bytes of a file that nobody has read yet; the file stays open as long as this is kept.

    failed: called when they cannot be read.
    """

    __slots__ = ("_failed", "_size_bytes", "file", "position")

    def __init__(self, file: File, position: int, size_bytes: int, failed: Callable[[], None]) -> None:
        self.file = file
        self.position = position
        self._size_bytes = size_bytes
        self._failed = failed

    def __len__(self) -> int:
        return self._size_bytes

    def read(self) -> bytes:
        """Raises OSError, also when the file ends before the range does."""
        try:
            data = self.file.read_at(self.position, self._size_bytes)
            if len(data) < self._size_bytes:
                raise OSError(errno.EIO, f"the file ends at {self.position + len(data)}, before what was to be read")
        except OSError:
            self._failed()
            raise
        return data

    def cut(self, size_bytes: int) -> "tuple[FileRange, FileRange]":
        """The first so many bytes, and the others."""
        rest = FileRange(self.file, self.position + size_bytes, self._size_bytes - size_bytes, self._failed)
        return FileRange(self.file, self.position, size_bytes, self._failed), rest


class Lock(Protocol):
    """A data directory that is held by this process."""

    def release(self) -> None: ...


class Disk(Protocol):
    """Files and directories by path. Every call may raise OSError as the operating system would."""

    def open(self, path: str, *, create: bool = False) -> File:
        """A file for reading and writing. With `create` it must not exist yet, without it must."""
        ...

    def exists(self, path: str) -> bool: ...

    def list_directory(self, path: str) -> list[str]:
        """Names in a directory, sorted."""
        ...

    def make_directory(self, path: str) -> None:
        """Make a directory and those above it; harmless when it exists."""
        ...

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Atomically put `source` in the place of `target`."""
        ...

    def unlink(self, path: str) -> None: ...

    def modified_ms(self, path: str) -> int:
        """When a file's bytes were last changed: milliseconds since the Unix epoch."""
        ...

    def set_modified_ms(self, path: str, time_ms: int) -> None: ...

    def sync_directory(self, path: str) -> None:
        """Return once the names in the directory are on the medium."""
        ...

    def lock(self, path: str, holder: str) -> Lock:
        """Take the lock file and write `holder` into it.

        Raises DataDirectoryInUse with the holder's text when another process, or this one, has it.
        """
        ...
