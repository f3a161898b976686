"""A real disk that notes which threads sync, and on which chosen calls wait for the test."""

import threading
from collections.abc import Callable

from millstream.core.log.real_disk import RealDisk, RealFile


class SlowFile(RealFile):
    __slots__ = ("_disk",)

    def __init__(self, path: str, descriptor: int, disk: "SlowDisk") -> None:
        super().__init__(path, descriptor)
        self._disk = disk

    def sync(self) -> None:
        self._disk.note_sync(self.path)
        super().sync()


class SlowDisk(RealDisk):
    """Calls about paths for which `held` is true wait for `go`, and set `waiting` meanwhile."""

    def __init__(self) -> None:
        self.sync_threads: dict[int, str] = {}
        """Each thread that synced something, with what it synced last."""
        self.held: Callable[[str], bool] = lambda _: False
        self.waiting = threading.Event()
        self.go = threading.Event()

    def open(self, path: str, *, create: bool = False) -> SlowFile:
        self._wait(path)
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return SlowFile(path, descriptor, self)

    def sync_directory(self, path: str) -> None:
        self.note_sync(path)
        super().sync_directory(path)

    def note_sync(self, path: str) -> None:
        self.sync_threads[threading.get_ident()] = path

    def _wait(self, path: str) -> None:
        if self.held(path):
            self.waiting.set()
            assert self.go.wait(60), f"the test never let {path} be opened"
