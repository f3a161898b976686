"""A disk in memory that fails as real ones do, from one seeded source of chance.

A power cut keeps what was synced. Each write since then is kept, lost or torn by sectors, independently of the others;
each name that was made or removed since its directory was synced is as before or as after. A killed process
loses nothing that it had written. Renames are kept up to one of them, and the others lost: file systems with a journal
never lose half of one. Beside that: a full disk, a sync that fails, a crash at the n-th call, flipped bits.
"""

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from millstream.core.errors import DataDirectoryInUse
from millstream.core.ports import Buffer

SECTOR_BYTES = 512


class Crashed(BaseException):
    """The process is gone. No code under test may catch it."""


@dataclass(slots=True)
class Content:
    """One file's bytes: as a reader sees them, as they are on the medium, and what was written between the two."""

    current: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, bytes | None]] = field(default_factory=list)
    modified_ms: int = 0


class FaultyFile:
    is_one_too_many = False

    def __init__(self, disk: "FaultyDisk", path: str, content: Content) -> None:
        self._disk = disk
        self._path = path
        self._content = content
        self._open_in = disk.incarnation

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        self._step()
        data = b"".join(bytes(buffer) for buffer in buffers)
        content = self._content
        grows = max(0, position + len(data) - len(content.current))
        room = self._disk.room_for(grows)
        written = data[: len(data) - (grows - room)]
        _apply(content.current, position, written)
        content.modified_ms = self._disk.now_ms
        if written:
            content.unsynced.append((position, written))
        if room < grows:
            raise OSError(errno.ENOSPC, "No space left on device", self._path)

    def read_at(self, position: int, size: int) -> bytes:
        self._step(reading=True)
        return bytes(self._content.current[position : position + size])

    def sync(self) -> None:
        self._step()
        if self._disk.sync_fails():
            raise OSError(errno.EIO, "Input/output error", self._path)
        self._content.durable = bytearray(self._content.current)
        self._content.unsynced.clear()

    def truncate(self, size: int) -> None:
        self._step()
        _apply(self._content.current, size, None)
        self._content.unsynced.append((size, None))

    def size(self) -> int:
        self._step(reading=True)
        return len(self._content.current)

    def close(self) -> None:
        pass

    def _step(self, *, reading: bool = False) -> None:
        assert self._open_in == self._disk.incarnation, f"{self._path} was opened before the crash"
        self._disk.step(reading=reading)


class FaultyLock:
    def __init__(self, disk: "FaultyDisk", path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locks.pop(self._path, None)


class FaultyDisk:
    """Implements ports.Disk. Every call counts as a step; one that changes something may be the last."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.incarnation = 0
        self.now_ms = 0
        self.locks: dict[str, str] = {}
        self.free_bytes: int | None = None
        self.failing_syncs = 0
        self._steps_left: int | None = None
        self._crashed = False
        self._files: dict[str, Content] = {}
        self._durable_files: dict[str, Content] = {}
        self._renames: list[tuple[str, str, Content]] = []
        self._directories: set[str] = {""}
        self._durable_directories: set[str] = {""}

    # The faults.

    def crash_after(self, steps: int | None) -> None:
        """The call after so many changing ones raises Crashed, and every one after it."""
        self._steps_left = steps

    def step(self, *, reading: bool = False) -> None:
        if self._crashed:
            raise Crashed
        if reading or self._steps_left is None:
            return
        self._steps_left -= 1
        if self._steps_left < 0:
            self._crashed = True
            raise Crashed

    def room_for(self, size: int) -> int:
        if self.free_bytes is None:
            return size
        room = min(size, self.free_bytes)
        self.free_bytes -= room
        return room

    def sync_fails(self) -> bool:
        if self.failing_syncs:
            self.failing_syncs -= 1
            return True
        return False

    def restart(self, *, power_cut: bool) -> None:
        """What the next process finds."""
        self._crashed = False
        self._steps_left = None
        self.locks.clear()
        self.incarnation += 1
        if not power_cut:
            return
        now, then = self._directories, self._durable_directories
        self._directories = {""}
        for path in sorted(now | then):
            kept = (path in now) if (path in now) == (path in then) else self.random.random() < 0.5
            if kept and parent(path) in self._directories:
                self._directories.add(path)
        self._files = self._surviving_files()
        for content in {id(content): content for content in self._files.values()}.values():
            self._lose_writes(content)
        self._durable_files = dict(self._files)
        self._durable_directories = set(self._directories)

    def _surviving_files(self) -> dict[str, Content]:
        """Each name is as before or as after, on its own; but of the renames the first ones, whole, and no others."""
        kept = self._renames[: self.random.randrange(len(self._renames) + 1)]
        then = dict(self._durable_files)
        for source, target, content in kept:
            then.pop(source, None)
            then[target] = content
        now = dict(self._files)
        for source, target, content in reversed(self._renames[len(kept) :]):
            if now.get(target) is content:
                del now[target]
            if target in then:
                now.setdefault(target, then[target])
            now[source] = content
        self._renames.clear()
        found = {}
        for path in sorted(now.keys() | then.keys()):
            content = now.get(path) if now.get(path) is then.get(path) or self.random.random() < 0.5 else then.get(path)
            if content is not None and parent(path) in self._directories:
                found[path] = content
        return found

    def _lose_writes(self, content: Content) -> None:
        random = self.random
        left = bytearray(content.durable)
        for position, data in content.unsynced:
            fate = random.random()
            if fate < 0.4:
                _apply(left, position, data)
            elif fate < 0.7 and data is not None:
                for at, sector in _sectors(position, data):
                    if random.random() < 0.6:
                        _apply(left, at, sector)
        content.current, content.durable = left, bytearray(left)
        content.unsynced.clear()

    def flip_bit(self, path: str, position: int, bit: int) -> None:
        content = self._files[path]
        content.current[position] ^= 1 << bit
        content.durable[:] = content.current

    def bytes(self, path: str) -> bytes:
        return bytes(self._files[path].current)

    def durable_bytes(self, path: str) -> bytes:
        """What a power cut is sure to leave of a file; nothing when its name may vanish."""
        content = self._durable_files.get(path)
        if content is None or self._files.get(path) is not content:
            return b""
        return bytes(content.durable)

    def files(self, directory: str) -> list[str]:
        return sorted(path for path in self._files if path.startswith(directory + "/"))

    # ports.Disk.

    def open(self, path: str, *, create: bool = False) -> FaultyFile:
        self.step(reading=not create)
        if create:
            if path in self._files:
                raise FileExistsError(path)
            if parent(path) not in self._directories:
                raise FileNotFoundError(path)
            self._files[path] = Content()
        if path not in self._files:
            raise FileNotFoundError(path)
        return FaultyFile(self, path, self._files[path])

    def exists(self, path: str) -> bool:
        self.step(reading=True)
        return path in self._files or path in self._directories

    def list_directory(self, path: str) -> list[str]:
        self.step(reading=True)
        if path not in self._directories:
            raise FileNotFoundError(path)
        inside = [name for name in [*self._files, *self._directories] if name and parent(name) == path]
        return sorted(name.rpartition("/")[2] for name in inside)

    def make_directory(self, path: str) -> None:
        self.step()
        while path:
            self._directories.add(path)
            path = parent(path)

    def remove_directory(self, path: str) -> None:
        self.step()
        if self.list_directory(path):
            raise OSError(errno.ENOTEMPTY, "Directory not empty", path)
        self._directories.discard(path)

    def rename(self, source: str, target: str) -> None:
        self.step()
        if source in self._directories:
            self._rename_directory(source, target)
        else:
            self._files[target] = self._files.pop(source)
            self._renames.append((source, target, self._files[target]))

    def _rename_directory(self, source: str, target: str) -> None:
        """Renamed at once and for good, with all that is in it: the simulation does not lose whole directories."""
        self._renames = [entry for entry in self._renames if not entry[0].startswith(source + "/")]
        for names in (self._files, self._durable_files):
            for path in [path for path in names if path.startswith(source + "/")]:
                names[target + path[len(source) :]] = names.pop(path)
        for directories in (self._directories, self._durable_directories):
            directories.discard(source)
            directories.add(target)

    def unlink(self, path: str) -> None:
        self.step()
        if path not in self._files:
            raise FileNotFoundError(path)
        del self._files[path]

    def modified_ms(self, path: str) -> int:
        self.step(reading=True)
        return self._files[path].modified_ms

    def set_modified_ms(self, path: str, time_ms: int) -> None:
        self.step()
        self._files[path].modified_ms = time_ms

    def sync_directory(self, path: str) -> None:
        self.step()
        if self.sync_fails():
            raise OSError(errno.EIO, "Input/output error", path)
        self._renames = [entry for entry in self._renames if parent(entry[0]) != path]
        inside = {name for name in {*self._files, *self._durable_files} if parent(name) == path}
        for name in inside:
            if name in self._files:
                self._durable_files[name] = self._files[name]
            else:
                del self._durable_files[name]
        path = "" if path == "." else path
        below = {name for name in self._directories | self._durable_directories if name and parent(name) == path}
        self._durable_directories = (self._durable_directories - below) | (self._directories & below)

    def lock(self, path: str, holder: str) -> FaultyLock:
        self.step()
        if path in self.locks:
            raise DataDirectoryInUse(self.locks[path])
        self.locks[path] = holder
        return FaultyLock(self, path)


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def _apply(content: bytearray, position: int, data: bytes | None) -> None:
    """A write at a position, filled up with zeros as needed, or a cut when data is None."""
    if data is None:
        del content[position:]
        content.extend(bytes(position - len(content)))
        return
    content.extend(bytes(max(0, position - len(content))))
    content[position : position + len(data)] = data


def _sectors(position: int, data: bytes) -> list[tuple[int, bytes]]:
    """The parts of a write that a medium writes as one."""
    parts = []
    at = position
    while at < position + len(data):
        end = min((at // SECTOR_BYTES + 1) * SECTOR_BYTES, position + len(data))
        parts.append((at, data[at - position : end - position]))
        at = end
    return parts
