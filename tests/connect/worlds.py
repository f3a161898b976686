"""What tests of the worker share: a cluster in this process, and connectors whose source and destination are lists."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from millstream.connect.api import (
    SinkBatch,
    SinkConnector,
    SinkContext,
    SourceBatch,
    SourceConnector,
    SourceContext,
    SourceKey,
    SourceOffset,
    TopicPartition,
)
from millstream.connect.common_fields import COMMON_FIELDS, COMMON_PREFIXES, SINK_FIELDS, SOURCE_FIELDS
from millstream.connect.overrides import Overrides
from millstream.connect.spec import ConnectorSpec, Field, at_least
from millstream.connect.worker.deployment import Deployment
from millstream.core.client.administration.admin_values import NewTopic
from millstream.core.client.client import Client
from millstream.core.client.config import producer_config
from millstream.embedded import open_client

SOURCE_SPEC = ConnectorSpec("list", "source", "", "", COMMON_FIELDS + SOURCE_FIELDS, COMMON_PREFIXES)
SINK_SPEC = ConnectorSpec(
    "list",
    "sink",
    "",
    "",
    (*COMMON_FIELDS, *SINK_FIELDS, Field("retry.backoff.ms", at_least(1), "", default=10)),
    COMMON_PREFIXES,
)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Client]:
    async with open_client(f"embedded:{folder / 'data'}") as client:
        yield client


async def until(condition: Callable[[], bool], timeout_s: float = 200) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def create(client: Client, topic: str, partitions: int = 1) -> None:
    await client.admin.create_topics([NewTopic(topic, partitions, -1, {})])


async def write(
    client: Client, topic: str, rows: Sequence[tuple[bytes | None, bytes | None]], partition: int = 0
) -> None:
    async with client.producer(producer_config({})) as producer:
        keys, values = [row[0] for row in rows], [row[1] for row in rows]
        columns = {"key": pa.array(keys, pa.binary()), "value": pa.array(values, pa.binary())}
        await producer.send(topic, pa.RecordBatch.from_pydict(columns), partition)
        await producer.flush()


class ListSource:
    """Hands over what is in `rows` from its committed offset on, one row a poll."""

    def __init__(self, rows: Sequence[str], topic: str) -> None:
        self._rows = rows
        self._topic = topic
        self._position = 0

    @property
    def exhausted(self) -> bool:
        return self._context.bounded and self._position == len(self._rows)

    async def start(self, context: SourceContext) -> None:
        self._context = context
        for _, offset in await context.offsets.read_all():
            self._position = offset["position"]

    async def poll(self) -> Sequence[SourceBatch]:
        if self._position == len(self._rows):
            await asyncio.sleep(0.01)
            return []
        value = pa.array([self._rows[self._position].encode()], pa.binary())
        self._position += 1
        columns = pa.RecordBatch.from_pydict({"key": pa.nulls(1, pa.binary()), "value": value})
        key: SourceKey = {"list": 1}
        offset: SourceOffset = {"position": self._position}
        return [SourceBatch(self._topic, columns, [(key, offset)])]

    async def commit(self, batches: Sequence[SourceBatch]) -> None: ...

    async def stop(self) -> None: ...


@dataclass
class Destination:
    """Where a ListSink writes: rows and position of each partition change together, or not at all.

    events: what the sink's task was asked to do. before_put: called before rows are taken. holds_back: nothing is
    committed, so that the next life reads everything again.
    """

    rows: dict[TopicPartition, list[int]] = field(default_factory=dict)
    position: dict[TopicPartition, int] = field(default_factory=dict)
    events: list[tuple[str, tuple[TopicPartition, ...]]] = field(default_factory=list)
    before_put: Callable[[], Awaitable[None]] | None = None
    holds_back: bool = False

    @property
    def count(self) -> int:
        return sum(len(rows) for rows in self.rows.values())


class ListSink:
    """Keeps offsets of rows in memory until a commit moves them to the destination."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._kept: dict[TopicPartition, list[int]] = {}

    async def start(self, context: SinkContext) -> None: ...

    async def open(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._destination.events.append(("open", tuple(partitions)))
        self._kept |= {key: [] for key in partitions}
        return {key: self._destination.position[key] for key in partitions if key in self._destination.position}

    async def put(self, batches: Sequence[SinkBatch]) -> None:
        if self._destination.before_put is not None:
            await self._destination.before_put()
        for batch in batches:
            kept = self._kept[batch.records.topic, batch.records.partition]
            offsets = batch.records.columns.column("offset")
            kept += (offsets if batch.rows is None else offsets.take(pa.array(batch.rows))).to_pylist()

    async def pre_commit(self) -> Mapping[TopicPartition, int]:
        if self._destination.holds_back:
            return {}
        for key, rows in self._kept.items():
            self._destination.rows.setdefault(key, []).extend(rows)
            if rows:
                self._destination.position[key] = rows[-1] + 1
            rows.clear()
        return {key: self._destination.position[key] for key in self._kept if key in self._destination.position}

    async def finish(self) -> Mapping[TopicPartition, int]:
        return await self.pre_commit()

    async def close(self, partitions: Sequence[TopicPartition]) -> None:
        self._destination.events.append(("close", tuple(partitions)))
        for key in partitions:
            self._kept.pop(key, None)

    async def stop(self) -> None: ...


def source(name: str, rows: Sequence[str], topic: str, **settings: Any) -> Deployment:
    connector = SourceConnector(SOURCE_SPEC, lambda values, _: [values], lambda _: ListSource(rows, topic))
    values = SOURCE_SPEC.validate({"name": name, "connector.class": "list"} | settings).values
    return Deployment(name, connector, values, Overrides({}, {}), (), name)


def sink(name: str, destination: Destination, topics: str, *, converted: bool = False, **settings: Any) -> Deployment:
    """converted: values are JSON, and rows that are none do not come to the destination."""
    connector = SinkConnector(SINK_SPEC, lambda _: ListSink(destination), wants_columns=converted)
    config = {"name": name, "connector.class": "list", "topics": topics} | settings
    values = SINK_SPEC.validate(config).values
    # Rebalances are noticed at the next heartbeat.
    return Deployment(name, connector, values, Overrides({"heartbeat.interval.ms": 50}, {}), (), name)


def offset_row(connector: str, position: int) -> tuple[bytes, bytes]:
    return json.dumps([connector, {"list": 1}]).encode(), json.dumps({"position": position}).encode()
