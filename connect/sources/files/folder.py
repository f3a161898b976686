"""The files that globs find, with their first bytes, and a handle to read each one. Shell; calls block."""

import glob
import gzip
import io
import logging
import os
import zlib
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from stat import S_ISREG

from .spec import FilesConfig
from .tracking import FINGERPRINT_BYTES, Seen

log = logging.getLogger(__name__)

GZIP_SUFFIXES = (".gz", ".gzip")
GZIP_MAGIC = b"\x1f\x8b"


def is_compressed(path: str) -> bool:
    return path.endswith(GZIP_SUFFIXES)


class OpenFile:
    """One file held open, to be read to its end even after it was renamed or removed. Positions: decompressed."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._stream: gzip.GzipFile | None = None
        self._raw: io.BufferedReader | None = None
        self.compressed = is_compressed(path)

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def read(self, position: int, size: int) -> bytes:
        """Up to `size` bytes. A compressed file that ends early is still being written: nothing yet.

        Raises OSError for a file that cannot be read, gzip.BadGzipFile among them.
        """
        return self._decompressed(position, size) if self.compressed else os.pread(self._descriptor, size, position)

    def _decompressed(self, position: int, size: int) -> bytes:
        if self._stream is None or self._stream.tell() != position:
            self.close_stream()
            self._raw = io.BufferedReader(io.FileIO(os.dup(self._descriptor)))
            self._raw.seek(0)
            self._stream = gzip.GzipFile(fileobj=self._raw)
        try:
            self._stream.seek(position)
            return self._stream.read(size)
        except (EOFError, zlib.error) as error:
            self.close_stream()
            if isinstance(error, zlib.error):
                raise gzip.BadGzipFile(str(error)) from error
            return b""

    def close_stream(self) -> None:
        if self._stream is not None and self._raw is not None:
            self._stream.close()
            self._raw.close()
        self._stream = self._raw = None

    def close(self) -> None:
        self.close_stream()
        os.close(self._descriptor)


class Folder:
    """All files of a connector's globs that belong to one task."""

    def __init__(self, config: FilesConfig) -> None:
        self._config = config

    def watched(self) -> list[str]:
        """The folders where something may change: the fixed part of each glob, as far as it exists."""
        folders = set()
        for pattern in self._config.globs:
            fixed = Path(pattern)
            while glob.has_magic(str(fixed)) or not fixed.is_dir():
                if fixed == fixed.parent:
                    break
                fixed = fixed.parent
            folders.add(str(fixed.resolve()))
        return sorted(folders)

    def look(self, now_ms: int) -> list[Seen]:
        """Files that are there now, oldest first. One that cannot be opened is left out with a warning."""
        found = []
        for path in self._paths():
            try:
                seen = self._seen(path, now_ms)
            except FileNotFoundError:
                continue  # removed since the folder was listed
            except OSError as error:
                log.warning("%s cannot be read: %s", path, error.strerror or error)
                continue
            if seen is not None:
                found.append(seen)
        unique = {seen.key: seen for seen in found}
        # Of files changed in the same tick of the clock, as at a rotation, the one with the longer name is older, and
        # of names as long the later one: access.log.2, access.log.1, access.log.
        by_name = sorted(unique.values(), key=lambda seen: (len(seen.path), seen.path), reverse=True)
        return sorted(by_name, key=lambda seen: seen.modified_ns)

    def _paths(self) -> Sequence[str]:
        config = self._config
        paths = {path for pattern in config.globs for path in glob.iglob(pattern, recursive=True, include_hidden=True)}
        return sorted(
            path
            for path in paths
            if not any(fnmatch(path, pattern) or fnmatch(os.path.basename(path), pattern) for pattern in config.exclude)
            and self._is_mine(path)
        )

    def _is_mine(self, path: str) -> bool:
        if self._config.task_count == 1:
            return True
        folder = os.path.dirname(os.path.abspath(path)).encode()
        return zlib.crc32(folder) % self._config.task_count == self._config.task_index

    def _seen(self, path: str, now_ms: int) -> Seen | None:
        status = os.stat(path)
        if not S_ISREG(status.st_mode):
            return None
        ignore_older_ms = self._config.ignore_older_ms
        if 0 <= ignore_older_ms < now_ms - status.st_mtime_ns // 1_000_000:
            return None
        file = OpenFile(path)
        try:
            status = file.status()
            head = file.read(0, FINGERPRINT_BYTES)
        finally:
            file.close()
        size, modified = status.st_size, status.st_mtime_ns
        return Seen(status.st_dev, status.st_ino, path, size, modified, head, file.compressed)
