"""Bytes that end right before a page without access, so that a kernel that reads past them dies at once.

That takes its process with it: check_in_own_process() runs such a check in another one.
"""

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from thoroughness import some

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


def check_in_own_process(module: str, function: str, rounds: int) -> None:
    """Calls function(seed, rounds) of a test module, which returns how many of its inputs were good ones.

    MILLSTREAM_FUZZ_ROUNDS makes it longer, MILLSTREAM_FUZZ_SEED another one.
    """
    rounds = int(os.environ.get("MILLSTREAM_FUZZ_ROUNDS", some(rounds)))
    seed = int(os.environ.get("MILLSTREAM_FUZZ_SEED", "1"))
    code = f"from {module} import {function}; print({function}({seed}, {rounds}))"

    tests = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=tests, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > rounds // 4, "most inputs were damaged beyond use: nothing was compared"
