"""The filesystem sink's task: puts rows into buffers and commits what is due, in threads. Shell.

Tested in tests/connect/sinks/test_task.py, and against kills in tests/faults.
"""

import asyncio
import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core.errors import ConfigError, Retriable, StorageError
from ....core.filesystems.filesystem import FileSystem
from ....core.filesystems.opening import open_filesystem
from ...api import SinkBatch, SinkConnector, SinkContext, TopicPartition
from .absent import absences
from .buffer import Chunk, ClosedRange, PartitionBuffer
from .commit import NewFile, PartitionCommits, Pending
from .paths import Directories, Int64Array, field_directories, file_name, kafka_directories
from .spec import SPEC, SinkConfig, sink_config
from .topic_types import TopicTypes
from .types import conformed, widened

log = logging.getLogger(__name__)

COMMIT_FOR_MS = 2_000
COMMIT_FILES, COMMIT_BYTES = 32, 67_108_864
CHECK_TIMEOUT_S = 30  # A NameNode that collects garbage is silent for longer than ten.


class _Partition:
    """One assigned topic-partition: its rows, its commits, and the commit in progress.

    dropped: it was closed, perhaps while a thread commits; that one begins no further commit.
    """

    def __init__(self, commits: PartitionCommits) -> None:
        self.commits = commits
        self.buffer: PartitionBuffer | None = None
        self.pending: Pending | None = None
        self.dropped = False


class FilesystemTask:
    """A SinkTask that writes files. One instance is used by one worker task at a time."""

    # From start() on.
    _context: SinkContext
    _filesystem: FileSystem
    _root: str

    def __init__(self, config: SinkConfig) -> None:
        self._config = config
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._types: dict[str, TopicTypes] = {}
        self._looked_at: dict[str, object] = {}  # topics whose first rows were compared with what the config names

    async def start(self, context: SinkContext) -> None:
        self._context = context
        config = self._config
        filesystem, root = await asyncio.to_thread(
            open_filesystem, config.store_url, config.store_options, timeout_s=config.store_timeout_s
        )
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        if not filesystem.exclusive_create:
            log.warning("%s: %s cannot create files conditionally: at least once", context.connector, config.store_url)
        try:
            await asyncio.to_thread(filesystem.list, self._root)
        except BaseException:  # asked to end meanwhile, or it ends by itself: no thread waits on for the answer
            filesystem.close()
            raise

    async def open(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        resumed: dict[TopicPartition, int] = {}

        async def recover(partition: TopicPartition) -> None:
            state = _Partition(self._commits(*partition))
            end = await asyncio.to_thread(state.commits.recover)
            self._partitions[partition] = state
            if end is not None:
                resumed[partition] = end

        _raise_first(await asyncio.gather(*map(recover, partitions), return_exceptions=True))
        return resumed

    def _commits(self, topic: str, partition: int) -> PartitionCommits:
        config, connector = self._config, self._context.connector
        return PartitionCommits(
            self._filesystem,
            topic,
            partition,
            staged_directory=f"{self._root}/{config.topics_dir}/+tmp/{connector}/{topic}/{partition}",
            manifest_directory=f"{self._root}/{config.logs_dir}/{connector}/{topic}/{partition}",
        )

    async def put(self, batches: Sequence[SinkBatch]) -> None:
        while self._closed_bytes > self._config.buffer_bytes:
            await self._commit_closed(COMMIT_FOR_MS)
        await asyncio.to_thread(self._absorb, batches)
        buffers = [state.buffer for state in self._partitions.values() if state.buffer]
        if sum(buffer.open_bytes for buffer in buffers) > self._config.buffer_bytes:
            max(buffers, key=lambda buffer: buffer.open_bytes).close()

    @property
    def _closed_bytes(self) -> int:
        return sum(state.buffer.closed_bytes for state in self._partitions.values() if state.buffer)

    def _absorb(self, batches: Sequence[SinkBatch]) -> None:
        now_ms = self._context.clock.now_ms()
        for batch in batches:
            records = batch.records
            state = self._partitions[records.topic, records.partition]
            if state.buffer is None:
                state.buffer = PartitionBuffer(self._config.rotation, records.first_offset)
            state.buffer.add(self._chunk(batch, now_ms), end=records.last_offset + 1, now_ms=now_ms)

    def _chunk(self, batch: SinkBatch, now_ms: int) -> Chunk:
        raw = batch.records.columns
        if batch.rows is not None and len(batch.rows) != raw.num_rows:
            raw = raw.take(pa.array(batch.rows))
        columns = batch.columns if batch.columns is not None else raw.select(["key", "value"])
        times_ms = self._times_ms(columns, raw, now_ms)
        directories = self._directories(columns, times_ms, batch.records.partition)
        offsets = raw.column("offset").to_numpy()
        return Chunk(self._with_metadata(columns, raw, batch), offsets, times_ms, directories)

    def _times_ms(self, columns: pa.RecordBatch, raw: pa.RecordBatch, now_ms: int) -> Int64Array:
        placement = self._config.placement
        record_ms: Int64Array = raw.column("timestamp").cast(pa.int64()).to_numpy(zero_copy_only=False)
        if placement.extractor == "wallclock":
            return np.full(columns.num_rows, now_ms, dtype=np.int64)
        if placement.extractor == "record":
            return record_ms
        name = placement.time_field
        if name not in columns.schema.names:
            return record_ms
        column = columns.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False)
        elif not pa.types.is_integer(column.type) and not pa.types.is_null(column.type):
            raise ConfigError(
                f"timestamp.field={name!r}: is {column.type}; a time is a timestamp or whole milliseconds since 1970; "
                f'for times in ISO 8601 declare the columns in value.schema, with {name!r} as "timestamp"'
            )
        # A row without a time goes where its record's time says.
        filled = pc.coalesce(column.cast(pa.int64()), pa.array(record_ms))
        return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)

    def _directories(self, columns: pa.RecordBatch, times_ms: Int64Array, partition: int) -> Directories:
        placement = self._config.placement
        if placement.time is not None:
            return placement.time.directories(times_ms)
        return (
            field_directories(columns, placement.fields) if placement.fields else kafka_directories(columns, partition)
        )

    def _with_metadata(self, columns: pa.RecordBatch, raw: pa.RecordBatch, batch: SinkBatch) -> pa.RecordBatch:
        for name in self._config.metadata_columns:
            if name == "topic":
                column = pa.array([batch.records.topic] * columns.num_rows, pa.string())
            elif name == "partition":
                column = pa.array(np.full(columns.num_rows, batch.records.partition, dtype=np.int32))
            else:
                column = raw.column(name)
            own = f"_{name}"
            if own in columns.schema.names:  # a value may not say where it came from
                columns = columns.drop_columns([own])
            columns = columns.append_column(own, column)
        return columns

    async def pre_commit(self) -> Mapping[TopicPartition, int]:
        now_ms = self._context.clock.now_ms()
        for state in self._partitions.values():
            if state.buffer:
                state.buffer.close_if_due(now_ms)
        await self._commit_closed(COMMIT_FOR_MS)
        return self._safe_offsets()

    async def finish(self) -> Mapping[TopicPartition, int]:
        for state in self._partitions.values():
            if state.buffer:
                state.buffer.close()
        await self._commit_closed()
        return self._safe_offsets()

    def _safe_offsets(self) -> dict[TopicPartition, int]:
        return {key: state.buffer.safe_offset for key, state in self._partitions.items() if state.buffer}

    async def _commit_closed(self, for_ms: int | None = None) -> None:
        """All partitions side by side; what one of them could not do does not undo the others.

        for_ms: begin no commit after this time, so that many small ones keep nobody waiting: Ctrl-C, or the group.
        """
        until_ms = None if for_ms is None else self._context.clock.monotonic_ms() + for_ms
        busy = [state for state in self._partitions.values() if state.buffer and (state.buffer.closed or state.pending)]
        commits = (asyncio.to_thread(self._commit_partition, state, until_ms) for state in busy)
        _raise_first(await asyncio.gather(*commits, return_exceptions=True))

    def _commit_partition(self, state: _Partition, until_ms: int | None) -> None:
        buffer = state.buffer
        assert buffer is not None
        while buffer.closed and not state.dropped:
            if state.pending is None:
                state.pending = self._next_commit(state.commits, buffer)
            end = state.pending.end
            state.commits.commit(state.pending)
            state.pending = None
            while buffer.closed and buffer.closed[0].end <= end:
                buffer.closed.popleft()
            buffer.committed = end
            if until_ms is not None and self._context.clock.monotonic_ms() >= until_ms:
                return

    def _next_commit(self, commits: PartitionCommits, buffer: PartitionBuffer) -> Pending:
        """The next closed range, with those after it while they are small: a manifest costs as much as a file."""
        files: list[NewFile] = []
        end = buffer.committed
        for closed in buffer.closed:
            files += self._files(commits, closed)
            end = closed.end
            if len(files) >= COMMIT_FILES or sum(len(file.data) for file in files) >= COMMIT_BYTES:
                break
        return Pending(end, files)

    def _files(self, commits: PartitionCommits, closed: ClosedRange) -> list[NewFile]:
        schema = closed.chunks[0].columns.schema
        for chunk in closed.chunks[1:]:
            schema = widened(schema, chunk.columns.schema)
        if self._config.keeps_types:
            schema = self._topic_types(commits.topic).schema_for(schema)
        self._tell_absences(commits.topic, schema, closed)
        parts: dict[str, list[pa.RecordBatch]] = {}
        offsets: dict[str, list[Int64Array]] = {}
        for chunk in closed.chunks:
            for number, directory in enumerate(chunk.directories.names):
                rows = np.flatnonzero(chunk.directories.rows == number)
                if not len(rows):
                    continue
                whole = len(rows) == len(chunk)
                part = chunk.columns if whole else chunk.columns.take(pa.array(rows))
                parts.setdefault(directory, []).append(conformed(part, schema))
                offsets.setdefault(directory, []).append(chunk.offsets[rows])
        return [self._file(commits, directory, parts[directory], offsets[directory]) for directory in parts]

    def _file(
        self, commits: PartitionCommits, directory: str, parts: list[pa.RecordBatch], offsets: list[Int64Array]
    ) -> NewFile:
        table = pa.Table.from_batches(parts)
        encoding = self._config.encoding
        name = file_name(
            commits.topic,
            commits.partition,
            int(offsets[0][0]),
            int(offsets[-1][-1]),
            encoding.extension,
            pad=self._config.offset_pad,
        )
        folder = f"{self._root}/{self._config.topics_dir}/{commits.topic}/{directory}"
        return NewFile(f"{folder}/{name}", table.num_rows, encoding.encode(table))

    def _tell_absences(self, topic: str, schema: pa.Schema, closed: ClosedRange) -> None:
        """Once for each topic, in whichever thread is the first to commit rows of it."""
        mark = object()
        if self._looked_at.setdefault(topic, mark) is mark:
            for sentence in absences(self._config, schema, [chunk.columns for chunk in closed.chunks]):
                log.warning("%s: topic %s: %s", self._context.connector, topic, sentence)

    def _topic_types(self, topic: str) -> TopicTypes:
        directory = f"{self._root}/{self._config.logs_dir}/{self._context.connector}/{topic}/types"
        return self._types.setdefault(topic, TopicTypes(self._filesystem, directory))  # at once, as threads ask for it

    async def close(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            state = self._partitions.pop(partition, None)
            if state is not None:
                state.dropped = True

    async def stop(self) -> None:
        await self.close(list(self._partitions))
        self._filesystem.close()


def _raise_first(outcomes: Sequence[BaseException | None]) -> None:
    """The first failure, if there is one; what a later try may mend only where there is nothing worse."""
    failures = [outcome for outcome in outcomes if outcome is not None]
    if failures:
        raise min(failures, key=lambda failure: isinstance(failure, Retriable))


def make_task(values: Mapping[str, Any]) -> FilesystemTask:
    return FilesystemTask(sink_config(values))


def check(values: Mapping[str, Any]) -> None:
    """Whether the lake answers and lets us write. Blocks."""
    config = sink_config(values)
    filesystem, root = open_filesystem(config.store_url, config.store_options, timeout_s=CHECK_TIMEOUT_S)
    probe = f"{root.rstrip('/')}/{config.logs_dir}/.probe-{uuid.uuid4().hex}"
    try:
        filesystem.create_exclusive(probe, b"")
        filesystem.delete(probe)
    except (Retriable, StorageError, OSError) as error:
        told = re.sub(rf"{re.escape(probe)}[.\w]*", "a file in it", str(error))
        raise ConfigError(
            f"store.url={config.store_url!r}: {told}; check that it is right, running and writable"
        ) from error
    finally:
        filesystem.close()


CONNECTOR = SinkConnector(SPEC, make_task, check=check)
