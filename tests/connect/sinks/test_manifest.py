"""The record of a commit: read back as it was written, and never guessed where it is damaged."""

import pytest

from millstream.connect.sinks.filesystem.manifest import (
    CommittedFile,
    Manifest,
    decode,
    encode,
    manifest_name,
    start_of,
)
from millstream.core.errors import StorageError

MANIFEST = Manifest("logs", 3, 10, 20, "me", (CommittedFile("/lake/+tmp/1", "/lake/day=ü/1", 9, 100),))
PATH = "/lake/logs/00000000000000000010.manifest.json"


def test_what_is_written_is_read_back() -> None:
    assert decode(encode(MANIFEST), PATH) == MANIFEST
    assert (MANIFEST.name, start_of(MANIFEST.name)) == ("00000000000000000010.manifest.json", 10)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        encode(MANIFEST)[:-1],
        b"[]",
        b"[" * 100_000,
        encode(MANIFEST).replace(b'"logs"', b'"\xff"'),
        encode(MANIFEST).replace(b"20", b'"20"'),
        encode(MANIFEST).replace(b'"writer"', b'"author"'),
    ],
)
def test_a_damaged_one_is_told_with_its_path_and_a_remedy(damage: bytes) -> None:
    with pytest.raises(StorageError, match=rf"{PATH} is not a readable manifest \(.*\); what it committed is unknown"):
        decode(damage, PATH)


def test_one_of_a_newer_release_is_left_to_that() -> None:
    newer = encode(MANIFEST).replace(b'"version": 1', b'"version": 2')

    with pytest.raises(StorageError, match="has version 2; this release reads version 1: use the newer release"):
        decode(newer, PATH)


@pytest.mark.parametrize(
    "name", ["", "10.manifest.json", f"{manifest_name(5)}.a1b2", "0000000000000000000x.manifest.json", "²" * 20]
)
def test_other_files_beside_manifests_are_none(name: str) -> None:
    assert start_of(name) is None
