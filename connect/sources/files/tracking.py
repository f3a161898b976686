"""Which file is which: rotation by rename and by copy-truncate, compression, and reuse of inodes. Pure.

A file is known by device, inode and a fingerprint of its first bytes. The same inode with another beginning, or shorter
than what was read, is a new life of it. A new inode with a known beginning is a copy, plain or compressed: it goes on
where the original stood when that original was truncated or went away, and waits as long as the original is intact.
Tested in tests/connect/sources/test_tracking.py.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

FINGERPRINT_BYTES = 1024
# With fewer bytes two different files too easily begin alike.
COPY_BYTES_MIN = 32

FileKey = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as a look at the directory found it. head: its first bytes, decompressed, at most FINGERPRINT_BYTES."""

    device: int
    inode: int
    path: str
    size_bytes: int
    modified_ns: int
    head: bytes
    compressed: bool = False

    @property
    def key(self) -> FileKey:
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Known:
    """How far a file has been read. position: in bytes, decompressed. fingerprint: of its first fingerprint_bytes."""

    device: int
    inode: int
    path: str
    position: int = 0
    fingerprint: str = ""
    fingerprint_bytes: int = 0
    skipping: bool = False

    @property
    def key(self) -> FileKey:
        return self.device, self.inode

    def began_as(self, head: bytes) -> bool:
        """Whether a file with these first bytes can be this one."""
        return len(head) >= self.fingerprint_bytes and fingerprint(head[: self.fingerprint_bytes]) == self.fingerprint


def fingerprint(head: bytes) -> str:
    return hashlib.blake2b(head, digest_size=16).hexdigest()


def printable(path: str) -> str:
    """The path as UTF-8 can say it: bytes of a name that are none are written as \\xff."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def source_partition(known: Known) -> dict[str, Any]:
    return {"device": known.device, "inode": known.inode}


def source_offset(known: Known) -> dict[str, Any]:
    return {
        "path": printable(known.path),
        "position": known.position,
        "fingerprint": known.fingerprint,
        "fingerprint_bytes": known.fingerprint_bytes,
        "skipping": known.skipping,
    }


def from_source(partition: Mapping[str, Any], offset: Mapping[str, Any]) -> Known:
    return Known(
        device=int(partition["device"]),
        inode=int(partition["inode"]),
        path=str(offset["path"]),
        position=int(offset["position"]),
        fingerprint=str(offset["fingerprint"]),
        fingerprint_bytes=int(offset["fingerprint_bytes"]),
        skipping=bool(offset.get("skipping", False)),
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the directories tells. reading: files to read, and how far each was read.

    continued: files that are read on in a copy of theirs. A copy whose original is intact is in neither.
    """

    reading: Mapping[FileKey, Known]
    continued: frozenset[FileKey]


def look(known: Mapping[FileKey, Known], seen: Iterable[Seen], start_position: Callable[[Seen], int]) -> Look:
    """Match what is there with what is known.

    start_position: where to begin in a file that is new and no copy.
    Files that are known and were not seen are not in the answer; who holds them open reads on to their end.
    """
    files = {file.key: file for file in seen}
    intact = {
        key: _refreshed(known[key], file) for key, file in files.items() if key in known and _same(known[key], file)
    }
    ended = {key: state for key, state in known.items() if key not in intact}
    reading = dict(intact)
    continued: set[FileKey] = set()
    for key, file in files.items():
        if key in intact:
            continue
        original = _original(file, ended)
        if original is not None:
            position = min(original.position, file.size_bytes) if not file.compressed else original.position
            reading[key] = replace(_new(file, position), skipping=original.skipping)
            continued.add(original.key)
        elif _original(file, intact) is None:
            reading[key] = _new(file, start_position(file))
    return Look(reading, frozenset(continued))


def _same(known: Known, file: Seen) -> bool:
    return (file.compressed or file.size_bytes >= known.position) and known.began_as(file.head)


def _refreshed(known: Known, file: Seen) -> Known:
    """The same file under its present path; a fingerprint of a file that was short takes in what has come since."""
    if known.fingerprint_bytes >= FINGERPRINT_BYTES or len(file.head) <= known.fingerprint_bytes:
        return known if known.path == file.path else replace(known, path=file.path)
    return replace(known, path=file.path, fingerprint=fingerprint(file.head), fingerprint_bytes=len(file.head))


def _new(file: Seen, position: int) -> Known:
    return Known(file.device, file.inode, file.path, position, fingerprint(file.head), len(file.head))


def _original(file: Seen, candidates: Mapping[FileKey, Known]) -> Known | None:
    """The known file with this beginning that was read furthest, if there is one."""
    alike = [
        state
        for key, state in candidates.items()
        if key != file.key and state.fingerprint_bytes >= COPY_BYTES_MIN and state.began_as(file.head)
    ]
    return max(alike, key=lambda state: state.position, default=None)
