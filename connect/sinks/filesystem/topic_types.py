"""The types of a topic's columns, kept in the lake so that every task and every later run writes the same. Shell.

Each widening is a new numbered file, created without overwrite: of two tasks that widen at once one goes first and the
other widens what that one wrote. Tested in tests/connect/sinks/test_topic_types.py.
"""

import re
import threading

import pyarrow as pa

from ....core.errors import StorageError
from ....core.filesystems.filesystem import FileSystem
from .types import decode_schema, encode_schema, widened

VERSION_NAME = re.compile(r"([0-9]{6})\.schema\.json")


class TopicTypes:
    """The kept schema of one topic, shared by the threads that commit its partitions. Calls block."""

    def __init__(self, filesystem: FileSystem, directory: str) -> None:
        self._filesystem = filesystem
        self._directory = directory
        self._version = 0
        self._schema: pa.Schema | None = None
        self._lock = threading.Lock()

    def schema_for(self, seen: pa.Schema) -> pa.Schema:
        """The kept schema, widened and kept anew where `seen` does not fit in it.

        Raises StorageError where the kept types cannot be read, Retriable where the store is down.
        """
        with self._lock:
            return self._widened(seen)

    def _widened(self, seen: pa.Schema) -> pa.Schema:
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
        names = [VERSION_NAME.fullmatch(info.name) for info in self._filesystem.list(self._directory)]
        versions = [int(name[1]) for name in names if name is not None]
        if not versions:
            return
        path = self._path(max(versions))
        try:
            self._schema = decode_schema(self._filesystem.read(path))
        except ValueError as error:
            raise StorageError(
                f"{path} does not hold the types of a topic ({error}): restore it from a copy, or remove it to go on "
                f"with those of the version before"
            ) from error
        self._version = max(versions)

    def _path(self, version: int) -> str:
        return f"{self._directory}/{version:06}.schema.json"
