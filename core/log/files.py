"""Small whole files, and files that grow with a list of entries. Shell over ports.Disk.

Tested in tests/core/log/test_files.py.
"""

from ..ports import Disk, File
from .file_names import TEMPORARY


def read_file(disk: Disk, path: str) -> bytes:
    """All bytes of a file, b"" when there is none. Raises OSError."""
    if not disk.exists(path):
        return b""
    file = disk.open(path)
    try:
        return file.read_at(0, file.size())
    finally:
        file.close()


def file_size(disk: Disk, path: str) -> int:
    """Bytes of a file, 0 when there is none. Raises OSError."""
    if not disk.exists(path):
        return 0
    file = disk.open(path)
    try:
        return file.size()
    finally:
        file.close()


def write_new_file(disk: Disk, path: str, data: bytes) -> File:
    """A new file, written but not synced; one that stands there goes. The caller syncs and closes it."""
    if disk.exists(path):
        disk.unlink(path)
    file = disk.open(path, create=True)
    file.write_at([data], 0)
    return file


def replace_file(disk: Disk, path: str, data: bytes) -> None:
    """Put a whole file in the place of another, so that a crash leaves one or the other. Raises OSError."""
    exchange_file(disk, path, data)
    disk.sync_directory(path.rpartition("/")[0])


def exchange_file(disk: Disk, path: str, data: bytes) -> None:
    """As replace_file, but which of the two a crash leaves is not settled before the caller syncs the directory."""
    file = write_new_file(disk, path + TEMPORARY, data)
    try:
        file.sync()
    finally:
        file.close()
    disk.rename(path + TEMPORARY, path)


def make_lasting_directory(disk: Disk, path: str) -> None:
    """Make a directory and those above it, each on the medium before the next. Raises OSError.

    One that exists may have been made just before a crash, so its name is synced too.
    """
    missing = [path.rstrip("/")]
    while missing[-1] and not disk.exists(missing[-1]):
        missing.append(missing[-1].rpartition("/")[0])
    for directory in reversed(missing):
        if directory:
            disk.make_directory(directory)
            disk.sync_directory(directory.rpartition("/")[0] or ("/" if directory.startswith("/") else "."))


class EntryFile:
    """The file of an index: entries are added at its end. `written_bytes` of it hold."""

    def __init__(self, disk: Disk, path: str, *, written_bytes: int) -> None:
        self.path = path
        self.written_bytes = written_bytes
        self._disk = disk
        self._file: File | None = None

    def extend(self, entries: bytes) -> None:
        """Write behind what holds. Raises OSError; then as much holds as before."""
        if not entries:
            return
        self._opened().write_at([entries], self.written_bytes)
        self.written_bytes += len(entries)

    def finish(self) -> None:
        """Cut off what stands behind the entries, and close. Raises OSError."""
        if self._file is not None or self._disk.exists(self.path):
            file = self._opened()
            if file.size() > self.written_bytes:
                file.truncate(self.written_bytes)
        self.close()

    def sync(self) -> None:
        if self._file is not None or self._disk.exists(self.path):
            self._opened().sync()

    def close(self) -> None:
        """Let go of the file; it is closed when no other thread is at it any more, and opened again when needed."""
        self._file = None

    def _opened(self) -> File:
        file = self._file
        if file is None:
            file = self._file = self._disk.open(self.path, create=not self._disk.exists(self.path))
        return file
