"""The types kept of a topic: one sequence of versions, whoever widens them, and a clear end where they are damaged."""

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from millstream.connect.sinks.filesystem.topic_types import TopicTypes
from millstream.connect.sinks.filesystem.types import decode_schema
from millstream.core.errors import StorageError
from millstream.core.filesystems.local import LocalFileSystem


class Meeting(LocalFileSystem):
    """Holds back what a creator has created until a second one tries, or the first is known to be alone."""

    def __init__(self) -> None:
        self.second = threading.Event()
        self.created = 0

    def create_exclusive(self, path: str, data: bytes) -> None:
        self.created += 1
        if self.created > 1:
            self.second.set()
        super().create_exclusive(path, data)
        if self.created == 1:
            self.second.wait(0.5)


def versions(folder: Path) -> list[tuple[str, pa.Schema]]:
    return [(path.name, decode_schema(path.read_bytes())) for path in sorted(folder.iterdir())]


def test_threads_that_widen_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """Partitions of a topic are committed side by side; one took back in memory what the other had just widened."""
    types = TopicTypes(Meeting(), str(tmp_path))
    schemas = [pa.schema([("a", pa.int64())]), pa.schema([("a", pa.string())])]
    threads = [threading.Thread(target=types.schema_for, args=(schema,)) for schema in schemas]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert types.schema_for(schemas[0]) == schemas[1]
    kept = versions(tmp_path)
    assert [name for name, _ in kept] == [f"{number + 1:06}.schema.json" for number in range(len(kept))]
    assert kept[-1][1] == schemas[1]


def test_a_task_goes_on_from_what_another_has_widened(tmp_path: Path) -> None:
    first, second = (TopicTypes(LocalFileSystem(), str(tmp_path)) for _ in range(2))
    first.schema_for(pa.schema([("a", pa.int64())]))
    second.schema_for(pa.schema([("b", pa.string())]))

    wide = first.schema_for(pa.schema([("a", pa.float64())]))

    assert wide == pa.schema([("a", pa.float64()), ("b", pa.string())])
    assert [name for name, _ in versions(tmp_path)] == [
        "000001.schema.json",
        "000002.schema.json",
        "000003.schema.json",
    ]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"arrow": "zz"}', b'{"arrow": "00"}', b"\xff"])
def test_damaged_types_are_told_with_their_file_and_a_remedy(tmp_path: Path, damage: Any) -> None:
    (tmp_path / "000001.schema.json").write_bytes(damage)
    (tmp_path / "notes.schema.json").write_bytes(b"not ours")

    with pytest.raises(StorageError, match=r"000001\.schema\.json does not hold the types of a topic .* remove it"):
        TopicTypes(LocalFileSystem(), str(tmp_path)).schema_for(pa.schema([("a", pa.int64())]))
