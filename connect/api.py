"""What a connector implements and what the worker gives it: batches in, batches out. Contracts only.

A source task hands over Arrow batches with the source offsets that they cover; the worker commits both in one
transaction. A sink task is given batches and says how far it has made them durable. Row-wise code uses Records.rows().
Source: Kafka Connect's SourceTask and SinkTask; ours differ in being asynchronous and columnar.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.ports import Clock
from ..core.records import Records
from .spec import ConnectorSpec

TopicPartition = tuple[str, int]
SourceKey = Mapping[str, Any]
SourceOffset = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """Rows for one topic and the source offsets reached once they are committed.

    columns: `key`, `value`, and where known `timestamp` and `headers`, typed as in RECORDS_SCHEMA.
    partition: a fixed partition, or None for Kafka's default partitioner.
    offsets: pairs of source partition and the offset up to which this batch reads it; the last pair counts, and None
    forgets the partition. A batch without rows keeps offsets only.
    """

    topic: str
    columns: pa.RecordBatch
    offsets: Sequence[tuple[SourceKey, SourceOffset | None]]
    partition: int | None = None


class OffsetReader(Protocol):
    """Committed source offsets of this connector."""

    async def read_all(self) -> Sequence[tuple[SourceKey, SourceOffset]]:
        """Every source partition that has a committed offset: a file source needs them to find renamed files."""
        ...


@dataclass(frozen=True, slots=True)
class SourceContext:
    """`bounded`: read what is there at the start, then set `exhausted` (`--to-end`).

    remark: takes what people should know beside the task's counts, such as that there is no file; "" takes it back.
    """

    connector: str
    task: int
    offsets: OffsetReader
    clock: Clock
    bounded: bool = False
    remark: Callable[[str], None] = lambda _: None


class SourceTask(Protocol):
    """Lifecycle: start, then poll again and again, then stop. The next poll may be under way while the batches of the
    last are committed; otherwise never two calls at once."""

    @property
    def exhausted(self) -> bool:
        """True when a bounded run has handed over all that was there at the start."""
        ...

    async def start(self, context: SourceContext) -> None: ...

    async def poll(self) -> Sequence[SourceBatch]:
        """Up to about one megabyte of rows; waits up to about a second when there are none, then returns an empty list.

        Raises Retriable or BackOff when the source is not ready: the worker waits and polls again.
        """
        ...

    async def commit(self, batches: Sequence[SourceBatch]) -> None:
        """Called after these batches of earlier polls have been committed."""
        ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SinkBatch:
    """One batch for a sink: the raw records, and the value columns when a converter gave some.

    columns: typed value columns of the good rows, or None when the sink asked for raw records.
    rows: shape (columns.num_rows,), int64: which row of `records` each row of `columns` came from.
    Rows that no converter could read are already in the dead letters, or have failed the task.
    """

    records: Records
    columns: pa.RecordBatch | None = None
    rows: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class SinkContext:
    connector: str
    task: int
    clock: Clock
    bounded: bool = False


class SinkTask(Protocol):
    """Lifecycle: start; open and close as partitions come and go; put and pre_commit in turn; stop."""

    async def start(self, context: SinkContext) -> None: ...

    async def open(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where to go on, for partitions whose position the destination itself knows; others: the group's."""
        ...

    async def put(self, batches: Sequence[SinkBatch]) -> None:
        """Take the batches; they may be kept in memory until the next commit.

        Raises Retriable or BackOff when the destination is down. The call may then have taken nothing: the worker
        offers the same batches again until it goes on.
        """
        ...

    async def pre_commit(self) -> Mapping[TopicPartition, int]:
        """Commit what is due (by size, time or clock); the next offset of each partition that is durable up to there.

        Raises Retriable or BackOff as put() does; the worker calls it again.
        """
        ...

    async def finish(self) -> Mapping[TopicPartition, int]:
        """Commit everything that was put: at the end of a bounded run or on an orderly stop."""
        ...

    async def close(self, partitions: Sequence[TopicPartition]) -> None:
        """Drop what is not committed of these partitions: another task reads it again."""
        ...

    async def stop(self) -> None: ...


# At most `tasks_max` task configs, from validated values.
SplitSource = Callable[[Mapping[str, Any], int], Sequence[Mapping[str, Any]]]
# A task that is not started yet, from validated values. Raises ConfigError for values that contradict each other.
MakeSourceTask = Callable[[Mapping[str, Any]], SourceTask]
MakeSinkTask = Callable[[Mapping[str, Any]], SinkTask]
# A look at what the connector talks to, before anything starts. Raises ConfigError or Retriable with the remedy.
Check = Callable[[Mapping[str, Any]], None]
# Where a source stands, for people.
Told = Callable[[SourceKey, SourceOffset], str]
# The topics that a source is known to write before it has a row for them, from validated values.
TopicsOf = Callable[[Mapping[str, Any]], Sequence[str]]


def told_as_json(key: SourceKey, offset: SourceOffset) -> str:
    return f"{json.dumps(key)} {json.dumps(offset)}"


def no_topics_known(_: Mapping[str, Any]) -> Sequence[str]:
    """For sources whose topics follow from what they read."""
    return ()


def nothing_to_check(_: Mapping[str, Any]) -> None:
    """For connectors that talk to nothing that could be looked at."""


@dataclass(frozen=True, slots=True)
class SourceConnector:
    """A source plug-in: its spec, how its work is split, and how a task is made of one part of it.

    topics: those that a bounded run makes even when there is no row: what reads them then finds nothing, and ends.
    """

    spec: ConnectorSpec
    split: SplitSource
    make_task: MakeSourceTask
    check: Check = nothing_to_check
    told: Told = told_as_json
    topics: TopicsOf = no_topics_known


@dataclass(frozen=True, slots=True)
class SinkConnector:
    """A sink plug-in. wants_columns: its task is given typed value columns by the value converter."""

    spec: ConnectorSpec
    make_task: MakeSinkTask
    wants_columns: bool = True
    check: Check = nothing_to_check
