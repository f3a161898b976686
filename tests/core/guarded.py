"""Bytes that end right before a page without access, so that a kernel that reads past them dies at once."""

import ctypes
import mmap
from typing import Any

import pyarrow as pa

PAGE = mmap.PAGESIZE


class GuardedMemory:
    """One region for up to `size` bytes; place() fills it anew, so that earlier buffers lose their content."""

    def __init__(self, size: int) -> None:
        self.size = -(-size // PAGE) * PAGE
        self.map = mmap.mmap(-1, self.size + PAGE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mprotect(ctypes.c_void_p(self.address + self.size), PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")

    def place(self, data: bytes) -> pa.Buffer:
        start = self.size - len(data)
        self.map[start : self.size] = data
        return pa.foreign_buffer(self.address + start, len(data), self)

    def values(self, rows: list[bytes]) -> Any:
        """A binary array whose data ends at the guard."""
        ends = [0]
        for row in rows:
            ends.append(ends[-1] + len(row))
        offsets = pa.array(ends, pa.int32()).buffers()[1]
        return pa.Array.from_buffers(pa.binary(), len(rows), [None, offsets, self.place(b"".join(rows))])
