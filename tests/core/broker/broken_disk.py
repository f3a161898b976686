"""A real disk whose medium fails below one directory: every call there that is named gives an input/output error."""

import errno
from collections.abc import Sequence

from millstream.core.log.real_disk import RealDisk, RealFile
from millstream.core.ports import Buffer


class BrokenFile(RealFile):
    __slots__ = ("_disk",)

    def __init__(self, path: str, descriptor: int, disk: "BrokenDisk") -> None:
        super().__init__(path, descriptor)
        self._disk = disk

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        self._disk.check("write", self.path)
        super().write_at(buffers, position)

    def read_at(self, position: int, size: int) -> bytes:
        self._disk.check("read", self.path)
        return super().read_at(position, size)

    def sync(self) -> None:
        self._disk.check("sync", self.path)
        super().sync()


class BrokenDisk(RealDisk):
    """calls: "open", "write", "read", "sync", "rename", "sync_directory"; none at first."""

    def __init__(self, directory: str) -> None:
        self.directory = f"/{directory}/"
        self.calls: frozenset[str] = frozenset()

    def check(self, call: str, path: str) -> None:
        if call in self.calls and self.directory in f"{path}/":
            raise OSError(errno.EIO, "Input/output error", path)

    def open(self, path: str, *, create: bool = False) -> BrokenFile:
        self.check("open", path)
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return BrokenFile(path, descriptor, self)

    def rename(self, source: str, target: str) -> None:
        self.check("rename", source)
        super().rename(source, target)

    def sync_directory(self, path: str) -> None:
        self.check("sync_directory", path)
        super().sync_directory(path)
