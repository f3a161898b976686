"""What a lake must be able to do. Contracts; opening.py finds the adapter of an URL.

All calls block; they are made in threads. An adapter tells errors apart: FileExistsError and FileNotFoundError as the
operating system's, Retriable where the store is down or silent, StorageError where trying again will not help.
Tested in tests/core/filesystems, one suite for every adapter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One entry of a directory. size_bytes is 0 for a directory."""

    path: str
    size_bytes: int
    is_directory: bool

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


class FileWriter(Protocol):
    """A new file. Nothing of it counts before close() has returned."""

    def write(self, data: bytes | memoryview, /) -> int: ...

    def close(self) -> None:
        """Make the file durable. Raises as the adapter's other calls do."""
        ...

    def abandon(self) -> None:
        """Give the file up: release what it holds; what is left of it may stay at its path."""
        ...


class FileSystem(Protocol):
    """Paths are absolute, with `/` between their parts, without scheme or host.

    exclusive_create: whether create_exclusive() and rename() fail atomically when the path exists: exactly once
    needs it.
    """

    @property
    def exclusive_create(self) -> bool: ...

    def create_exclusive(self, path: str, data: bytes) -> None:
        """A small file that appears whole or not at all. Raises FileExistsError when the path is taken."""
        ...

    def open_write(self, path: str) -> FileWriter:
        """A new file in place of any old one; parent directories are made."""
        ...

    def read(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Move a file, making parents; never overwrites. Raises FileNotFoundError or FileExistsError."""
        ...

    def exists(self, path: str) -> bool:
        """Raises Retriable when the store cannot say."""
        ...

    def list(self, directory: str) -> Sequence[FileInfo]:
        """Entries of one directory by name; empty when there is none."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file; it is no error when there is none."""
        ...

    def close(self) -> None:
        """Threads that wait for a store that does not answer get Retriable; so does who calls it from now on."""
        ...
