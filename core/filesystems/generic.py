"""Every other store that fsspec knows as a FileSystem. Shell.

Whether a file can be created only where none is differs from store to store; exclusive_create says what was found for
this one, and the sink promises exactly once only where it holds. Tested in tests/core/filesystems.
"""

import contextlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fsspec
from fsspec.spec import AbstractBufferedFile

from ..errors import Retriable, StorageError
from .deadline import Deadline
from .filesystem import FileInfo
from .local import REMEDIES

# Stores whose fsspec class honours mode "xb" by a conditional request of the store itself.
CONDITIONAL_CREATE = frozenset({"s3", "s3a", "gs", "gcs"})


def open_generic(url: str, options: Mapping[str, str], *, timeout_s: float) -> tuple["GenericFileSystem", str]:
    """Adapter and path for any URL. Raises ValueError or ImportError as fsspec does for one it cannot serve.

    Some stores are asked for credentials or a session as soon as they are opened: that has the deadline of a call.
    """
    deadline = Deadline(url, timeout_s)
    filesystem, path = deadline.call(fsspec.core.url_to_fs, url, **options)
    protocols = {filesystem.protocol} if isinstance(filesystem.protocol, str) else set(filesystem.protocol)
    exclusive = not protocols.isdisjoint(CONDITIONAL_CREATE)
    return GenericFileSystem(filesystem, deadline, exclusive), str(path)


@contextlib.contextmanager
def _told_apart(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except (Retriable, StorageError, FileExistsError, FileNotFoundError):
        raise
    except (PermissionError, IsADirectoryError, NotADirectoryError, ValueError, TypeError) as error:
        raise StorageError(f"cannot {action} {path}: {error}") from error
    except OSError as error:
        if error.errno in REMEDIES:
            raise StorageError(f"cannot {action} {path}: {error.strerror}; {REMEDIES[error.errno]}") from error
        raise Retriable(f"cannot {action} {path}: {type(error).__name__}: {error}") from error
    except Exception as error:  # each store has its own exceptions for being out of reach
        raise Retriable(f"cannot {action} {path}: {type(error).__name__}: {error}") from error


class GenericFileWriter:
    """A file object of fsspec; the store has it whole once it is closed."""

    def __init__(self, file: Any, path: str, deadline: Deadline) -> None:
        self._file = file
        self._path = path
        self._deadline = deadline

    def write(self, data: bytes | memoryview, /) -> int:
        with _told_apart("write", self._path):
            return int(self._deadline.call(self._file.write, bytes(data)))

    def close(self) -> None:
        with _told_apart("close", self._path):
            self._deadline.call(self._file.close)

    def abandon(self) -> None:
        """Closed for fsspec: its finalizer would upload what it holds, in whichever thread the collector ran."""
        discard = getattr(self._file, "discard", None)
        if discard is not None:
            with contextlib.suppress(Exception):  # what is left is a staged file, swept at the next start
                self._deadline.call(discard)
        if isinstance(self._file, AbstractBufferedFile):
            self._file.closed = True


class GenericFileSystem:
    """Any fsspec filesystem."""

    def __init__(self, filesystem: Any, deadline: Deadline, exclusive_create: bool) -> None:
        self._filesystem = filesystem
        self._deadline = deadline
        self.exclusive_create = exclusive_create

    def create_exclusive(self, path: str, data: bytes) -> None:
        with _told_apart("create", path):
            if self.exclusive_create:
                self._deadline.call(self._write_all, path, data, "xb")
                return
            self._make_parent(path)
            if self._deadline.call(self._filesystem.exists, path):
                raise FileExistsError(f"{path} exists")
            self._deadline.call(self._write_all, path, data, "wb")

    def open_write(self, path: str) -> GenericFileWriter:
        with _told_apart("create", path):
            self._make_parent(path)
            return GenericFileWriter(self._deadline.call(self._filesystem.open, path, "wb"), path, self._deadline)

    def read(self, path: str) -> bytes:
        with _told_apart("read", path):
            return bytes(self._deadline.call(self._filesystem.cat_file, path))

    def rename(self, source: str, target: str) -> None:
        with _told_apart("rename", source):
            self._make_parent(target)
            if self._deadline.call(self._filesystem.exists, target):
                raise FileExistsError(f"{target} exists")
            if not self._deadline.call(self._filesystem.exists, source):
                raise FileNotFoundError(f"{source} does not exist")
            self._deadline.call(self._filesystem.mv, source, target)
            if not self._deadline.call(self._filesystem.exists, target):
                raise Retriable(f"cannot rename {source}: the store reported no error but {target} is not there")

    def exists(self, path: str) -> bool:
        with _told_apart("look at", path):
            return bool(self._deadline.call(self._filesystem.exists, path))

    def list(self, directory: str) -> Sequence[FileInfo]:
        with _told_apart("list", directory):
            try:
                found = self._deadline.call(self._filesystem.ls, directory, detail=True, refresh=True)
            except FileNotFoundError:
                return []
            except TypeError:  # this store's ls() knows no refresh
                found = self._deadline.call(self._filesystem.ls, directory, detail=True)
        infos = [FileInfo(item["name"], int(item.get("size") or 0), item["type"] == "directory") for item in found]
        return sorted(infos, key=lambda info: info.path)

    def delete(self, path: str) -> None:
        with _told_apart("delete", path), contextlib.suppress(FileNotFoundError):
            self._deadline.call(self._filesystem.rm_file, path)

    def close(self) -> None:
        """Calls under way are given up; fsspec keeps and closes its own sessions."""
        self._deadline.close()

    def _make_parent(self, path: str) -> None:
        self._deadline.call(self._filesystem.makedirs, posixpath.dirname(path), exist_ok=True)

    def _write_all(self, path: str, data: bytes, mode: str) -> None:
        with self._filesystem.open(path, mode) as file:
            file.write(data)
