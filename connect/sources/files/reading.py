"""The files that are read now, and which of them are held open. Shell.

A file is opened when there is something to read in it. Held open beyond that are the few that were written to last:
whatever becomes of them, renamed out of sight or removed, they are read to their end.
Tested in tests/connect/sources/test_many_files.py.
"""

import contextlib
import resource
from collections.abc import Iterable, Sequence, Set

from ....core.errors import Retriable
from .content import OpenFile
from .folder import open_file
from .known import FileKey, Known, Seen, Stamp
from .look import Moved

# Of the descriptors that the process may have, the share of one task, and how many it makes use of.
SHARE, OPEN_MAX = 8, 128
# A file that was not written to for so long is not held open.
HELD_OPEN_MS = 600_000


class Reading:
    """A file that is read. limit: where a bounded run stops. at_end: at the last read there was nothing more.

    unlisted_ms: since when, by the monotonic clock, no glob finds it any more; a writer may still hold it open after it
    was renamed.
    """

    def __init__(self, known: Known, seen: Seen, limit: int | None) -> None:
        self.known = known
        self.stamp: Stamp = seen.stamp
        self.limit = limit
        self.at_end = False
        self.unlisted_ms: int | None = None
        self.file: OpenFile | None = None

    def opened(self) -> OpenFile:
        """Raises Moved, Retriable or OSError as open_file() does."""
        if self.file is None:
            self.file = open_file(self.known.path, self.known.key)
        return self.file

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


class Readings(dict[FileKey, Reading]):
    """All files that are read, or held open, by their keys."""

    def __init__(self) -> None:
        super().__init__()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._held: set[FileKey] = set()
        self._open_max = OPEN_MAX if soft == resource.RLIM_INFINITY else max(4, min(OPEN_MAX, soft // SHARE))

    @property
    def all_at_end(self) -> bool:
        return all(one.at_end for one in self.values())

    def drop(self, keys: Iterable[FileKey]) -> None:
        for key in list(keys):
            one = self.pop(key, None)
            if one is not None:
                one.close()

    def gone_unread(self, listed: Set[FileKey], steady_ms: int) -> list[FileKey]:
        """Those that are out of sight for the first time now and hold more than was read of them; to be read on."""
        found = []
        for key, one in self.items():
            if key not in listed and one.unlisted_ms is None:
                one.unlisted_ms = steady_ms
                if one.file is not None and one.file.status().st_size > one.known.position:
                    one.at_end = False
                    found.append(key)
        return found

    def rest(self, key: FileKey) -> None:
        """Close a file that was read to its end, unless it is one of those held open."""
        one = self.get(key)
        if one is not None and one.at_end and one.unlisted_ms is None and key not in self._held:
            self.drop([key])

    def drop_finished(self) -> None:
        self.drop([key for key, one in self.items() if one.at_end])

    def hold_open(self, seen: Sequence[Seen], known: dict[FileKey, Known], now_ms: int) -> None:
        """Of the files that were read to their end, hold those open that were written to last, and no others.

        seen: oldest first.
        """
        held = {
            file.key: file
            for file in seen[-self._open_max :]
            if not file.compressed and now_ms - file.modified_ns // 1_000_000 <= HELD_OPEN_MS
            if file.key in known and known[file.key].copy_of is None
        }
        self._held = set(held)
        for key in list(self):
            self.rest(key)
        for key, file in held.items():
            if key not in self:
                one = Reading(known[key], file, None)
                one.at_end = True
                with contextlib.suppress(Moved, OSError, Retriable):  # the next look, or the next read, tells
                    one.opened()
                    self[key] = one
