"""A file system of a few megabytes, for what happens when a disk is full. Shell; needs the right to mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.java import ServiceUnavailable

BLOCK = bytes(4096)


class SmallDisk:
    """`path` is its root; fill() leaves no block free, and make_room() gives back what was filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, *, leave_blocks: int = 0) -> None:
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(BLOCK)
            except OSError:
                os.truncate(file.fileno(), max(0, file.tell() // len(BLOCK) - leave_blocks) * len(BLOCK))

    def make_room(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mounted on `path` from entering to leaving. Raises ServiceUnavailable where that is not allowed."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ServiceUnavailable(f"there is no mount: {error}") from error
    if result.returncode:
        raise ServiceUnavailable(f"a tmpfs cannot be mounted here: {result.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
