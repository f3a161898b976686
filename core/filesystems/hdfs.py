"""HDFS as a FileSystem, through hdfs-native, with what it does not say made plain. Shell.

Met here: three minutes of silent retries before a dead NameNode is reported, calls that never return while it hangs,
untyped errors with a Java class in their text, a lease conflict that looks like an existing file, and writers that call
the NameNode when Python's garbage collector finds them.
Tested in tests/core/filesystems against a real HDFS.
"""

import contextlib
import io
import posixpath
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from hdfs_native import Client, FileWriter, WriteOptions

from ..errors import ConfigError, Retriable, StorageError
from .deadline import Deadline
from .filesystem import FileInfo
from .local import whole_path

# Two rounds over the NameNodes take about three seconds; our own callers wait and try again.
DEFAULT_OPTIONS = {"dfs.client.failover.max.attempts": "2"}
CUT_CHARACTERS = "#?;"
JAVA_TRACE = r"\n\tat "
PERMANENT_SIGNS = (
    "AccessControlException",
    "QuotaExceededException",
    "DSQuotaExceededException",
    "NSQuotaExceededException",
    "InvalidPathException",
    "PathIsNotDirectoryException",
    "ParentNotDirectoryException",
    "FileAlreadyExistsException",
    "FSLimitException",
    "PathComponentTooLongException",
    "SASL",
    "GSSAPI",
)


def open_hdfs(url: str, options: Mapping[str, str], *, timeout_s: float) -> tuple["HdfsFileSystem", str]:
    """Adapter and path for `hdfs://namenode:port/path`. The NameNode is not asked yet."""
    parts = urlsplit(url, allow_fragments=False)
    if not parts.netloc:
        raise ConfigError(f"store.url={url!r}: name the NameNode or the name service: hdfs://namenode:9000/lake")
    path = posixpath.normpath(unquote(whole_path(parts)) or "/")
    _check_name(path)
    root = f"{parts.scheme}://{parts.netloc}"
    try:
        client = Client(root, DEFAULT_OPTIONS | dict(options))
    except Exception as error:  # the library raises untyped errors for settings it cannot use
        raise ConfigError(f"store.url={url!r}: {error}") from error
    return HdfsFileSystem(client, Deadline(root, timeout_s)), path


def _check_name(path: str) -> None:
    bad = [character for character in CUT_CHARACTERS if character in path]
    if bad or ":" in path:
        raise StorageError(f"HDFS path {path!r}: the characters {' '.join(CUT_CHARACTERS)} and : cannot stand in it")


@contextlib.contextmanager
def _told_apart(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except (Retriable, StorageError):
        raise
    except FileExistsError as error:
        if "AlreadyBeingCreated" in str(error) or "RecoveryInProgress" in str(error):
            raise Retriable(f"cannot {action} {path}: another writer holds its lease") from error
        raise FileExistsError(f"{path} exists") from error
    except FileNotFoundError as error:
        if "No lease on" in str(error) or "LeaseExpired" in str(error):
            raise Retriable(f"cannot {action} {path}: its lease was taken over") from error
        raise FileNotFoundError(f"{path} does not exist") from error
    except PermissionError as error:
        raise StorageError(f"cannot {action} {path}: {error}; grant the user access to it") from error
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        text = str(error)
        if any(sign in text for sign in PERMANENT_SIGNS):
            raise StorageError(f"cannot {action} {path}: {text}") from error
        # The library gives the NameNode's Java stack trace as part of the text, in one line.
        told = text.split(JAVA_TRACE, 1)[0]
        raise Retriable(f"cannot {action} {path}: {told}") from error


class HdfsFileWriter:
    """A new file in HDFS. Its bytes count once close() has returned."""

    def __init__(self, writer: Any, path: str, deadline: Deadline) -> None:
        self._writer = writer
        self._path = path
        self._deadline = deadline
        self._closed = False

    def write(self, data: bytes | memoryview, /) -> int:
        """The library takes `bytes` as one block; a memoryview number by number, and only if its format is unsigned."""
        with _told_apart("write", self._path):
            return int(self._deadline.call(self._writer.write, bytes(data)))

    def close(self) -> None:
        if self._closed:
            return
        with _told_apart("close", self._path):
            self._deadline.call(self._writer.close)
        self._closed = True

    def abandon(self) -> None:
        """The writer is left to the NameNode, which ends its lease when the file is deleted or written anew."""
        self._closed = True


def _create(client: Client, path: str, options: WriteOptions) -> FileWriter:
    """A writer that just its own close() closes.

    The library's writer is an io.RawIOBase, whose finalizer closes what was not closed: it asked the NameNode in
    whichever thread the garbage collector ran in, the event loop's too, without a deadline; and a second close, or one
    after the NameNode was started anew, is refused for 16 s. Closed for RawIOBase alone, it is just dropped.
    """
    writer = client.create(path, options)
    io.RawIOBase.close(writer)
    return writer


class HdfsFileSystem:
    """`hdfs://`."""

    exclusive_create = True

    def __init__(self, client: Client, deadline: Deadline) -> None:
        self._client = client
        self._deadline = deadline

    def create_exclusive(self, path: str, data: bytes) -> None:
        """Written under a name of its own and then renamed: the NameNode renames atomically and never overwrites."""
        staged = f"{path}.{uuid.uuid4().hex}"
        writer = self.open_write(staged)
        writer.write(data)
        writer.close()
        try:
            self.rename(staged, path)
        except FileExistsError:
            self.delete(staged)
            raise

    def open_write(self, path: str) -> HdfsFileWriter:
        _check_name(path)
        options = WriteOptions(overwrite=True, create_parent=True)
        with _told_apart("create", path):
            return HdfsFileWriter(self._deadline.call(_create, self._client, path, options), path, self._deadline)

    def read(self, path: str) -> bytes:
        _check_name(path)
        with _told_apart("read", path):
            return bytes(self._deadline.call(lambda: self._client.read(path).read()))

    def rename(self, source: str, target: str) -> None:
        _check_name(target)
        with _told_apart("rename", source):
            self._deadline.call(self._client.mkdirs, posixpath.dirname(target), create_parent=True)
            self._deadline.call(self._client.rename, source, target, overwrite=False)

    def exists(self, path: str) -> bool:
        _check_name(path)
        with _told_apart("look at", path):
            try:
                self._deadline.call(self._client.get_file_info, path)
            except FileNotFoundError:
                return False
            return True

    def list(self, directory: str) -> Sequence[FileInfo]:
        _check_name(directory)
        with _told_apart("list", directory):
            try:
                found = self._deadline.call(lambda: list(self._client.list_status(directory)))
            except FileNotFoundError:
                return []
        infos = [FileInfo(urlsplit(info.path).path, 0 if info.isdir else info.length, info.isdir) for info in found]
        return sorted(infos, key=lambda info: info.path)

    def delete(self, path: str) -> None:
        _check_name(path)
        with _told_apart("delete", path), contextlib.suppress(FileNotFoundError):
            self._deadline.call(self._client.delete, path)

    def close(self) -> None:
        """Calls under way are given up; the client holds no resource that outlives it."""
        self._deadline.close()
