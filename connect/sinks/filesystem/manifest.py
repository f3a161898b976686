"""The record of one commit: a contiguous range of offsets of one topic-partition, and the files that hold it. Pure.

A manifest is named by where the range before it ended. It is created only where no file of that name is, so of two
tasks that go on from the same place just one commits: the other is a zombie and learns it. Files become visible after
their manifest exists, and whoever opens the partition next finishes the newest manifest first.
Tested in tests/connect/sinks/test_manifest.py.
"""

import msgspec

from ....core.errors import StorageError

NAME_DIGITS = 20
SUFFIX = ".manifest.json"
# A task that slept through this many commits of another is told apart by the newer manifests that it then finds.
KEPT = 50


class CommittedFile(msgspec.Struct, frozen=True):
    """One file of a commit. Paths are absolute within the store."""

    staged: str
    final: str
    rows: int
    bytes: int


class Manifest(msgspec.Struct, frozen=True):
    """start: end of the manifest before, 0 for the first. end: the next offset to read. writer: which task made it."""

    topic: str
    partition: int
    start: int
    end: int
    writer: str
    files: tuple[CommittedFile, ...]
    version: int = 1

    @property
    def name(self) -> str:
        return manifest_name(self.start)


def manifest_name(start: int) -> str:
    return f"{start:0{NAME_DIGITS}}{SUFFIX}"


def start_of(name: str) -> int | None:
    """The start in a manifest's file name; None for a file that is not a manifest."""
    digits = name.removesuffix(SUFFIX)
    is_manifest = name.endswith(SUFFIX) and len(digits) == NAME_DIGITS and digits.isascii() and digits.isdigit()
    return int(digits) if is_manifest else None


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest))


def decode(data: bytes, path: str) -> Manifest:
    """Raises StorageError for a file that is no manifest of a version known here."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StorageError(
            f"{path} is not a readable manifest ({error}); what it committed is unknown. Restore it from a copy, or "
            f"remove it and the files of its range, and reset the connector's offset to where that range starts"
        ) from error
    if manifest.version != 1:
        raise StorageError(
            f"{path} has version {manifest.version}; this release reads version 1: use the newer release"
        )
    return manifest
