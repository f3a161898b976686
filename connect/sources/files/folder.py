"""The files that globs find, and a look into those that must be told apart. Shell; calls block.

Tested in tests/connect/sources/test_files_task.py.
"""

import errno
import glob
import logging
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from stat import S_ISREG

from ....core.errors import Retriable
from .content import OpenFile
from .known import FINGERPRINT_BYTES, FileKey, Known, Seen, fingerprint, printable
from .look import Moved, Unreadable
from .names import is_compressed
from .spec import FilesConfig

log = logging.getLogger(__name__)

# So many files are named at the end of a run; the log names all.
TOLD_MAX = 5
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class Complaints:
    """What is wrong with which file: said once, and once more when it is over."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._faults: dict[str, str] = {}

    def add(self, path: str, reason: str) -> None:
        if self._reasons.get(path) != reason:
            self._reasons[path] = reason
            log.warning("%s %s", path, reason)

    def over(self, path: str) -> None:
        if self._reasons.pop(path, None) is not None:
            log.warning("%s can be read again", path)

    def no_lines(self, path: str, fault: str) -> None:
        self._faults[path] = fault
        log.error("%s %s", path, fault)

    def damaged(self, known: Known, raw_position: int, fault: str) -> None:
        self._faults[known.path] = f"is damaged at byte {known.position:,}: {fault}"
        log.warning(
            "%s cannot be read on at byte %d (byte %d of the compressed file): it is damaged: %s; the lines before "
            "that were read, those after it will be once the file is replaced by a whole one",
            *(known.path, known.position, raw_position, fault),
        )

    def unfinished(self, known: Known) -> None:
        self._faults[known.path] = f"ends at byte {known.position:,} in the middle of its compressed data"
        log.warning(
            "%s ends at byte %d in the middle of its compressed data: it was cut short, or is still being written; the "
            "whole lines before that were read, the others will be once the file is complete: copy it anew",
            *(known.path, known.position),
        )

    def told(self) -> list[str]:
        """Files that cannot be read, or not whole, for the end of a run; the first few of them."""
        found = [f"{path} {fault}" for path, fault in (self._faults | self._reasons).items()]
        more = len(found) - TOLD_MAX
        return found if more <= 1 else [*found[:TOLD_MAX], f"and {more:,} more files"]


def open_file(path: str, key: FileKey) -> OpenFile:
    """The file, if it still stands there. Raises Moved, Retriable when there is no descriptor left, or OSError."""
    try:
        file = OpenFile(path)
    except FileNotFoundError as error:
        raise Moved(path) from error
    except OSError as error:
        if error.errno in NO_DESCRIPTOR:
            raise Retriable(f"{path} cannot be opened: {error.strerror}; raise `ulimit -n`") from error
        raise
    status = file.status()
    if (status.st_dev, status.st_ino) != key:
        file.close()
        raise Moved(path)
    return file


class FolderContents:
    """The Contents of files, each opened for one question only. A file that cannot be read counts as moved."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints

    @contextmanager
    def _opened(self, seen: Seen) -> Iterator[OpenFile]:
        try:
            file = open_file(seen.path, seen.key)
            try:
                yield file
            finally:
                file.close()
        except OSError as error:
            self._complaints.add(seen.path, f"cannot be read: {error.strerror or error}")
            raise Unreadable(seen.path) from error
        self._complaints.over(seen.path)

    def head(self, seen: Seen) -> bytes | None:
        with self._opened(seen) as file:
            head = file.read(0, FINGERPRINT_BYTES)
            known = len(head) == FINGERPRINT_BYTES or file.complete or bool(file.fault)
            return head if known else None

    def holds(self, seen: Seen, known: Known) -> bool | None:
        with self._opened(seen) as file:
            head = file.read(0, FINGERPRINT_BYTES)
            if len(head) < known.fingerprint_bytes:
                return None
            if not known.began_as(head):
                return False
            return known.ended_as(file.before(known.position)) if file.reaches(known.position) else None

    def is_beginning(self, seen: Seen, of: Seen) -> tuple[int, str, int] | None:
        with self._opened(seen) as file:
            length = file.length()
            end = file.before(length)
        with self._opened(of) as original:
            original.read(length, 0)
            return (length, fingerprint(end), len(end)) if original.before(length) == end else None

    def tail(self, seen: Seen, end: int) -> tuple[str, int]:
        with self._opened(seen) as file:
            file.read(end, 0)
            data = file.before(end)
            return fingerprint(data), len(data)


class Folder:
    """All files of a connector's globs that belong to one task."""

    def __init__(self, config: FilesConfig, complaints: Complaints) -> None:
        self._config = config
        self._complaints = complaints
        self.empty: list[str] = []

    def watched(self) -> list[str]:
        """The folders where something may change: the fixed part of each glob, if it is there.

        A part above it could be all of a disk.
        """
        fixed = (_fixed_part(pattern) for pattern in self._config.globs)
        return sorted({str(folder.resolve()) for folder in fixed if os.path.isdir(folder)})

    def reaches_below(self) -> bool:
        """Whether a glob goes below its fixed part."""
        patterns = self._config.globs
        return any("**" in one or len(Path(one).parts) > len(_fixed_part(one).parts) + 1 for one in patterns)

    def look(self, now_ms: int) -> list[Seen]:
        """Files that are there now, oldest first. `empty` then has the globs that match nothing."""
        unique: dict[FileKey, Seen] = {}
        for path in self._paths():
            try:
                seen = self._seen(path, now_ms)
            except FileNotFoundError:
                continue  # removed since the folder was listed
            except OSError as error:
                self._complaints.add(path, f"cannot be read: {error.strerror or error}")
                continue
            if seen is not None:
                unique[seen.key] = seen
        # Of files changed in the same tick of the clock, as at a rotation, the one with the longer name is older, and
        # of names as long the later one: access.log.2, access.log.1, access.log.
        by_name = sorted(unique.values(), key=lambda seen: (len(seen.path), seen.path), reverse=True)
        return sorted(by_name, key=lambda seen: seen.modified_ns)

    def is_mine(self, path: str) -> bool:
        """All lives of a log stay with one task: tasks share the folders."""
        if self._config.task_count == 1:
            return True
        # As offsets spell it: a name that is no UTF-8 is the same folder before a restart and after.
        folder = os.path.dirname(os.path.abspath(printable(path))).encode()
        return zlib.crc32(folder) % self._config.task_count == self._config.task_index

    def is_away(self, known: Known) -> bool:
        """Whether a file is gone for good, as far as can be said: its disk is there, and it is not."""
        try:
            status = os.stat(known.path)
            if (status.st_dev, status.st_ino) == known.key:
                return False
        except (FileNotFoundError, NotADirectoryError):
            log.debug("%s is gone", known.path)
        except OSError:
            return False
        folder = Path(os.path.abspath(known.path)).parent
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        try:
            return folder.stat().st_dev == known.device
        except OSError:  # it went away just now: a later look tells
            return False

    def _paths(self) -> Sequence[str]:
        config = self._config
        paths: set[str] = set()
        self.empty = []
        for pattern in config.globs:
            found = glob.glob(pattern, recursive=True, include_hidden=True)
            paths.update(found)
            if not found:
                self.empty.append(pattern)
        return sorted(path for path in paths if not self._is_excluded(path) and self.is_mine(path))

    def _is_excluded(self, path: str) -> bool:
        name = os.path.basename(path)
        return any(fnmatch(path, pattern) or fnmatch(name, pattern) for pattern in self._config.exclude)

    def _seen(self, path: str, now_ms: int) -> Seen | None:
        status = os.stat(path)
        if not S_ISREG(status.st_mode):
            return None
        ignore_older_ms = self._config.ignore_older_ms
        if 0 <= ignore_older_ms < now_ms - status.st_mtime_ns // 1_000_000:
            return None
        return Seen(
            status.st_dev, status.st_ino, path, status.st_size, status.st_mtime_ns, compressed=is_compressed(path)
        )


def _fixed_part(pattern: str) -> Path:
    fixed = Path(pattern)
    while glob.has_magic(str(fixed)) and fixed != fixed.parent:
        fixed = fixed.parent
    return fixed if glob.has_magic(pattern) else fixed.parent


def unescaped(pattern: str) -> str:
    """The path that a glob means in which nothing else stands for anything: glob.escape() taken back."""
    return re.sub(r"\[([*?[])\]", r"\1", pattern)


def nothing_found(pattern: str) -> str:
    """What is to be said of a glob that matches nothing."""
    folder = _fixed_part(pattern)
    where = "" if os.path.isabs(pattern) else f" (paths are relative to {os.getcwd()})"
    try:
        if glob.has_magic(pattern):
            os.scandir(folder).close()
        else:
            os.lstat(pattern)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            return f"{pattern!r} matches no file: the folder {str(folder)!r} does not exist{where}"
    except OSError as error:
        may = ": this user has to have the right to list and to enter it" if isinstance(error, PermissionError) else ""
        return f"{pattern!r} matches no file: the folder {str(folder)!r} cannot be read: {error.strerror}{where}{may}"
    return f"{pattern!r} matches no file{where}"
