"""Bytes of compressed files as they come, against Python's own gzip: growing, joined, cut short and damaged."""

import gzip
import random
from pathlib import Path

import pytest

from millstream.connect.sources.files.content import OpenFile

DATA = b"".join(b"line %06d %x\n" % (number, random.Random(number).getrandbits(64)) for number in range(20_000))


def read_all(file: OpenFile, size: int) -> bytes:
    found = b""
    while data := file.read(len(found), size):
        found += data
    return found


@pytest.mark.parametrize("size", [1_000, 70_000, 10_000_000])
def test_members_that_follow_each_other_are_one_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(DATA) + bytes(512) + gzip.compress(b"more\n") + gzip.compress(b""))
    file = OpenFile(str(path))

    assert read_all(file, size) == DATA + b"more\n"
    assert (file.complete, file.fault) == (True, "")
    file.close()


def test_a_file_that_grows_is_read_on_where_it_stood(tmp_path: Path) -> None:
    path, packed = tmp_path / "a.gz", gzip.compress(DATA)
    file, found = None, b""
    for end in (5, 11, 1_000, 100_000, len(packed) - 3, len(packed)):
        path.write_bytes(packed[:end])
        file = file or OpenFile(str(path))
        while data := file.read(len(found), 50_000):
            found += data
            assert file.before(len(found) - len(data)) == DATA[: len(found) - len(data)][-1024:]
        assert file.complete == (end == len(packed))

    assert file is not None
    assert found == DATA
    file.close()


@pytest.mark.parametrize("where", ["header", "middle", "checksum", "after the end"])
def test_what_stands_before_damage_is_read_and_the_damage_is_named(tmp_path: Path, where: str) -> None:
    packed = bytearray(gzip.compress(DATA))
    if where == "header":
        packed[0] = 0
    elif where == "middle":
        packed[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    elif where == "checksum":
        packed[-6] ^= 1
    else:
        packed += b"what is this?"
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    file = OpenFile(str(path))

    found = read_all(file, 100_000)

    if where == "header":
        assert found == b""
    elif where == "middle":
        assert len(found) > len(DATA) // 3
        assert found[: len(DATA) // 3] == DATA[: len(DATA) // 3]
    else:
        assert found == DATA
    assert file.fault
    assert not file.complete
    file.close()
