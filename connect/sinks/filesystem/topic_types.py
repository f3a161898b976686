"""The types of a topic's columns, kept in the lake so that every task and every later run writes the same. Shell.

Each widening is a new numbered file, created without overwrite: of two tasks that widen at once one goes first and the
other widens what that one wrote.
"""

import pyarrow as pa

from ....core.filesystems.filesystem import FileSystem
from .types import decode_schema, encode_schema, widened


class TopicTypes:
    """The kept schema of one topic. Calls block."""

    def __init__(self, filesystem: FileSystem, directory: str) -> None:
        self._filesystem = filesystem
        self._directory = directory
        self._version = 0
        self._schema: pa.Schema | None = None

    def schema_for(self, seen: pa.Schema) -> pa.Schema:
        """The kept schema, widened and kept anew where `seen` does not fit in it."""
        if self._schema is None:
            self._load()
        while True:
            known = self._schema if self._schema is not None else pa.schema([])
            wide = widened(known, seen)
            if self._schema is not None and wide.equals(known):
                return known
            try:
                self._filesystem.create_exclusive(self._path(self._version + 1), encode_schema(wide))
            except FileExistsError:
                self._load()
                continue
            self._version += 1
            self._schema = wide

    def _load(self) -> None:
        names = [info.name for info in self._filesystem.list(self._directory)]
        versions = [int(name[:6]) for name in names if name.endswith(".schema.json") and name[:6].isdigit()]
        if versions:
            self._version = max(versions)
            self._schema = decode_schema(self._filesystem.read(self._path(self._version)))

    def _path(self, version: int) -> str:
        return f"{self._directory}/{version:06}.schema.json"
