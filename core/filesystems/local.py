"""The machine's own files as a FileSystem: every file is synced before it counts, and its directory too. Shell.

Tested in tests/core/filesystems.
"""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from ..errors import ConfigError, Retriable, StorageError
from .filesystem import FileInfo

# What no later try changes, and what would.
REMEDIES = {
    errno.EACCES: "check the path and its permissions",
    errno.EPERM: "check its permissions, and that the file system has hard links, which FAT has not",
    errno.EISDIR: "a directory stands where a file goes: check the path",
    errno.ENOTDIR: "a file stands where a directory goes: check the path",
    errno.ENAMETOOLONG: "the file system takes no name or path of that length: give the folders shorter names",
    errno.EINVAL: "the file system does not take this name",
    errno.ELOOP: "a link in the path leads to itself",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENODEV: "the file system does not hold files",
}


def local_path(url: str) -> str:
    """Absolute path of a `file://` URL or of a plain path."""
    if "://" not in url:
        return os.path.abspath(url)
    parts = urlsplit(url, allow_fragments=False)
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(f"store.url={url!r}: a file URL has three slashes before an absolute path: file:///lake")
    return os.path.abspath(unquote(whole_path(parts)))


def whole_path(parts: SplitResult) -> str:
    """What stands behind the host: in a URL of files a question mark is part of a name."""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@contextlib.contextmanager
def _told_apart(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError as error:
        if error.errno in REMEDIES:
            raise StorageError(f"cannot {action} {path}: {error.strerror}; {REMEDIES[error.errno]}") from error
        raise Retriable(f"cannot {action} {path}: {error.strerror}") from error


def _sync_directory(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directories(directory: str) -> None:
    """As os.makedirs, with each new entry synced into its parent, so that a power cut does not take the path away."""
    if os.path.isdir(directory):
        return
    parent = os.path.dirname(directory)
    _make_directories(parent)
    try:
        os.mkdir(directory)
    except FileExistsError:
        pass
    except FileNotFoundError as error:  # as in /proc, where nothing can be made; or the parent has just been removed
        kind = StorageError if os.path.isdir(parent) else Retriable
        raise kind(f"cannot make the directory {directory}: {error.strerror}; choose a place for files") from error
    _sync_directory(parent)


class LocalFileWriter:
    """A file that is synced when it is closed."""

    def __init__(self, path: str) -> None:
        self._path = path
        _make_directories(os.path.dirname(path))
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115

    def write(self, data: bytes | memoryview, /) -> int:
        with _told_apart("write", self._path):
            view = memoryview(data).cast("B")
            written = 0
            while written < len(view):
                written += self._file.write(view[written:])
            return written

    def close(self) -> None:
        if self._file.closed:
            return
        with _told_apart("sync", self._path):
            os.fsync(self._file.fileno())
            self._file.close()
            _sync_directory(os.path.dirname(self._path))

    def abandon(self) -> None:
        self._file.close()


class LocalFileSystem:
    """`file://` and plain paths."""

    exclusive_create = True

    def create_exclusive(self, path: str, data: bytes) -> None:
        staged = f"{path}.{uuid.uuid4().hex}"
        writer = self.open_write(staged)
        try:
            writer.write(data)
            writer.close()
            with _told_apart("create", path):
                os.link(staged, path)
                _sync_directory(os.path.dirname(path))
        finally:
            writer.abandon()
            self.delete(staged)

    def open_write(self, path: str) -> LocalFileWriter:
        with _told_apart("create", path):
            return LocalFileWriter(path)

    def read(self, path: str) -> bytes:
        with _told_apart("read", path), open(path, "rb") as file:
            return file.read()

    def rename(self, source: str, target: str) -> None:
        with _told_apart("rename", source):
            _make_directories(os.path.dirname(target))
            os.link(source, target)
            os.unlink(source)
            _sync_directory(os.path.dirname(target))
            _sync_directory(os.path.dirname(source))

    def exists(self, path: str) -> bool:
        with _told_apart("look at", path):
            try:
                os.stat(path)
            except FileNotFoundError:
                return False
            return True

    def list(self, directory: str) -> Sequence[FileInfo]:
        with _told_apart("list", directory):
            try:
                with os.scandir(directory) as entries:
                    found = [_info(entry) for entry in entries]
            except FileNotFoundError:
                return []
        return sorted((info for info in found if info is not None), key=lambda info: info.path)

    def delete(self, path: str) -> None:
        with _told_apart("delete", path), contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def close(self) -> None:
        """Nothing is held open."""


def _info(entry: os.DirEntry[str]) -> FileInfo | None:
    try:
        is_directory = entry.is_dir()
        return FileInfo(entry.path, 0 if is_directory else entry.stat().st_size, is_directory)
    except FileNotFoundError:  # it went away while the directory was read
        return None
