"""What is kept of a file: how far it was read, and what tells it from others; and how that is stored. Pure.

A file is known by device and inode, and its content by a hash of its first KiB and of the last KiB before the position.
Tested in tests/connect/sources/test_tracking.py.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ....core.errors import ConfigError

# How much of a file's beginning, and of what stands before a position, is hashed.
FINGERPRINT_BYTES = 1024

FileKey = tuple[int, int]
Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as a look at the directory found it. size_bytes: on disk, so compressed where it is."""

    device: int
    inode: int
    path: str
    size_bytes: int
    modified_ns: int
    compressed: bool = False

    @property
    def key(self) -> FileKey:
        return self.device, self.inode

    @property
    def stamp(self) -> Stamp:
        """Another stamp is another content, or more of it."""
        return self.size_bytes, self.modified_ns


@dataclass(frozen=True, slots=True)
class Known:
    """How far a file has been read. position: in bytes, decompressed.

    fingerprint: of its first fingerprint_bytes. tail: of the tail_bytes before position; offsets of older versions
    have none. mark: position, tail and tail_bytes at the last look; what was copied since holds that. copy_of: it was
    seen to hold the same bytes as that file, which is read instead of it; position says how many. raw_bytes: the size
    of a compressed file that was read to its end. time_ms: when it was read last, or found. ended_ms: when it was found
    that the file no longer holds what was read of it; 0 for the life that goes on.
    """

    device: int
    inode: int
    path: str
    position: int = 0
    fingerprint: str = ""
    fingerprint_bytes: int = 0
    skipping: bool = False
    tail: str = ""
    tail_bytes: int = 0
    mark: tuple[int, str, int] = (0, "", 0)
    copy_of: FileKey | None = None
    raw_bytes: int = 0
    time_ms: int = 0
    ended_ms: int = 0

    @property
    def key(self) -> FileKey:
        return self.device, self.inode

    def marked(self) -> "Known":
        """With the present position as its mark."""
        return (
            self if self.mark[0] == self.position else replace(self, mark=(self.position, self.tail, self.tail_bytes))
        )

    def at_mark(self) -> "Known":
        position, tail, tail_bytes = self.mark
        return replace(self, position=position, tail=tail, tail_bytes=tail_bytes)

    def waited_on(self, original: "Known") -> bool:
        """Whether it is a copy that waits for this life of its original, or did; not one that had ended before."""
        return self.copy_of == original.key and not 0 < original.ended_ms < self.time_ms

    def is_all_of(self, file: "Seen") -> bool:
        """Whether there can be nothing in the file that was not read yet."""
        return file.size_bytes == self.raw_bytes if file.compressed else file.size_bytes <= self.position

    def began_as(self, head: bytes) -> bool:
        """Whether a file with these first bytes can be this one."""
        return len(head) >= self.fingerprint_bytes and fingerprint(head[: self.fingerprint_bytes]) == self.fingerprint

    def ended_as(self, before: bytes) -> bool:
        """Whether these bytes before the position are those that were read; offsets of older versions do not say."""
        if not self.tail_bytes:
            return True
        return len(before) >= self.tail_bytes and fingerprint(before[-self.tail_bytes :]) == self.tail


def fingerprint(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def printable(path: str) -> str:
    """The path as UTF-8 can say it: bytes of a name that are none are written as \\xff."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def source_partition(known: Known) -> dict[str, Any]:
    """A life that has ended has one of its own: the file's is that of the life that goes on."""
    partition = {"device": known.device, "inode": known.inode}
    return partition | {"ended_ms": known.ended_ms} if known.ended_ms else partition


def source_offset(known: Known) -> dict[str, Any]:
    offset = {
        "path": printable(known.path),
        "position": known.position,
        "fingerprint": known.fingerprint,
        "fingerprint_bytes": known.fingerprint_bytes,
        "skipping": known.skipping,
        "tail": known.tail,
        "tail_bytes": known.tail_bytes,
        "mark": list(known.mark),
        "time_ms": known.time_ms,
    }
    if known.copy_of:
        offset["copy_of"] = list(known.copy_of)
    if known.raw_bytes:
        offset["raw_bytes"] = known.raw_bytes
    return offset


def from_source(partition: Mapping[str, Any], offset: Mapping[str, Any]) -> Known:
    """Raises ConfigError for an offset that another connector has stored under this one's name."""
    try:
        return _known(partition, offset)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ConfigError(
            f"the source partition {dict(partition)} with the offset {dict(offset)} is none of the files source "
            f"({type(error).__name__}: {error}), such as Kafka Connect's FileStreamSource stores: give the connector a "
            f"name of its own, or write null for that key into the offsets topic"
        ) from error


def _known(partition: Mapping[str, Any], offset: Mapping[str, Any]) -> Known:
    copy_of = offset.get("copy_of")
    mark = offset.get("mark", (0, "", 0))
    return Known(
        device=int(partition["device"]),
        inode=int(partition["inode"]),
        path=str(offset["path"]),
        position=int(offset["position"]),
        fingerprint=str(offset["fingerprint"]),
        fingerprint_bytes=int(offset["fingerprint_bytes"]),
        skipping=bool(offset.get("skipping", False)),
        tail=str(offset.get("tail", "")),
        tail_bytes=int(offset.get("tail_bytes", 0)),
        mark=(int(mark[0]), str(mark[1]), int(mark[2])),
        copy_of=(int(copy_of[0]), int(copy_of[1])) if copy_of else None,
        raw_bytes=int(offset.get("raw_bytes", 0)),
        time_ms=int(offset.get("time_ms", 0)),
        ended_ms=int(partition.get("ended_ms", 0)),
    )
