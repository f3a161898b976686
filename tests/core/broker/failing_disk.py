"""A real disk on which the logs of one partition cannot be written or synced for as long as the test says."""

import errno
import os
from collections.abc import Sequence

from millstream.core.log.real_disk import RealDisk, RealFile
from millstream.core.ports import Buffer


class FailingFile(RealFile):
    __slots__ = ("_failures",)

    def __init__(self, path: str, descriptor: int, failures: "FailingDisk") -> None:
        super().__init__(path, descriptor)
        self._failures = failures

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        if self._failures.full and self._failures.directory in self.path:
            self._failures.refused_count += 1
            raise OSError(self._failures.refusal, os.strerror(self._failures.refusal))
        super().write_at(buffers, position)

    def truncate(self, size: int) -> None:
        if self._failures.full and self._failures.refusal == errno.EROFS:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        super().truncate(size)

    def sync(self) -> None:
        if self._failures.broken and self._failures.directory in self.path:
            raise OSError(errno.EIO, "input/output error")
        super().sync()


class FailingDisk(RealDisk):
    """`full` refuses writes below `directory`, with the error `refusal`; `broken` fails syncs there."""

    def __init__(self, directory: str) -> None:
        self.directory = f"/{directory}/"
        self.full = False
        self.broken = False
        self.refused_count = 0
        self.refusal = errno.ENOSPC

    def open(self, path: str, *, create: bool = False) -> FailingFile:
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return FailingFile(path, descriptor, self)
