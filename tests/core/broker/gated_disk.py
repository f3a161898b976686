"""A real disk whose syncs of .log files wait for the test, or fail."""

import threading

from millstream.core.log.real_disk import RealDisk, RealFile


class GatedFile(RealFile):
    __slots__ = ("_gate",)

    def __init__(self, path: str, descriptor: int, gate: "GatedDisk") -> None:
        super().__init__(path, descriptor)
        self._gate = gate

    def sync(self) -> None:
        if self.path.endswith(".log"):
            assert self._gate.open_gate.wait(60), "the test never opened the gate"
            if self._gate.broken:
                raise OSError(5, "input/output error")
        super().sync()


class GatedDisk(RealDisk):
    """`open_gate` is set at first: syncs go through. `broken` makes them fail."""

    def __init__(self) -> None:
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.broken = False

    def open(self, path: str, *, create: bool = False) -> GatedFile:
        file = super().open(path, create=create)
        descriptor, file._descriptor = file._descriptor, -1
        return GatedFile(path, descriptor, self)
