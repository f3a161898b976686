"""What stands in a lake, read without the project: by the operating system, or by hdfs-native's own client."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import cramjam
import pyarrow as pa
import pyarrow.parquet as pq
from faults.access_lines import Answer, WindowKey
from hdfs_native import Client

COMMITTED = re.compile(r".*/[^/+]+\+(\d+)\+(\d+)\+(\d+)\.[a-z.]+$")


class Lake(Protocol):
    def files(self, folder: str) -> list[str]:
        """Paths of all files below a folder of the lake; none when there is no such folder."""
        ...

    def read(self, path: str) -> bytes: ...


@dataclass(frozen=True)
class LocalLake:
    root: Path

    def files(self, folder: str) -> list[str]:
        return sorted(str(path) for path in (self.root / folder).rglob("*") if path.is_file())

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()


class HdfsLake:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._root = parts.path
        self._client = Client(f"hdfs://{parts.netloc}", {"dfs.client.failover.max.attempts": "2"})

    def files(self, folder: str) -> list[str]:
        try:
            found = list(self._client.list_status(f"{self._root}/{folder}", recursive=True))
        except FileNotFoundError:
            return []
        return sorted(urlsplit(info.path).path for info in found if not info.isdir)

    def read(self, path: str) -> bytes:
        return bytes(self._client.read(path).read())


def lake_of(url: str) -> Lake:
    return HdfsLake(url) if url.startswith("hdfs://") else LocalLake(Path(url))


def committed_files(lake: Lake, folder: str) -> list[str]:
    """Data files in the order of their first offsets; nothing but data files may be there."""
    paths = [path for path in lake.files(folder) if "/+tmp/" not in path]
    strange = [path for path in paths if COMMITTED.fullmatch(path) is None]
    assert not strange, f"files that no commit made: {strange}"
    return sorted(paths, key=_first_offset)


def _first_offset(path: str) -> tuple[int, int]:
    match = COMMITTED.fullmatch(path)
    assert match is not None
    return int(match[1]), int(match[2])


def staged_files(lake: Lake, folder: str) -> list[str]:
    return [path for path in lake.files(folder) if "/+tmp/" in path]


def manifests(lake: Lake) -> list[str]:
    return [path for path in lake.files("logs") if path.endswith(".manifest.json")]


def archived_lines(lake: Lake) -> list[bytes]:
    """The lines of the raw archive, in the order of their offsets."""
    lines: list[bytes] = []
    for path in committed_files(lake, "archive"):
        lines += bytes(cramjam.zstd.decompress(lake.read(path))).removesuffix(b"\n").split(b"\n")
    return lines


def tables(lake: Lake) -> list[pa.Table]:
    """Each Parquet file of the lake."""
    return [pq.read_table(io.BytesIO(lake.read(path))) for path in committed_files(lake, "tables")]


def windows_in(found: Sequence[pa.Table]) -> dict[WindowKey, Answer]:
    """The results, each (minute, status) exactly once."""
    windows: dict[WindowKey, Answer] = {}
    twice = []
    for table in found:
        starts = table.column("window_start").cast(pa.int64()).to_pylist()
        ends = table.column("window_end").cast(pa.int64()).to_pylist()
        assert all(end - start == 60_000 for start, end in zip(starts, ends, strict=True))
        keys = zip(starts, table.column("status").to_pylist(), strict=True)
        names = ("requests", "errors", "bytes", "p99_bytes")
        rows = zip(*(table.column(name).to_pylist() for name in names), strict=True)
        for key, row in zip(keys, rows, strict=True):
            if key in windows:
                twice.append(key)
            windows[key] = Answer(*row)
    assert not twice, f"{len(twice)} windows stand in the lake more than once, such as {twice[:3]}"
    return windows
