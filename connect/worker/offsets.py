"""Committed offsets of source connectors, in Kafka Connect's offsets topic with Kafka Connect's records. Shell.

Key: `["connector", {source partition}]`, value: the source offset, both JSON. They are produced in the same transaction
as the rows that they cover. Tested in tests/connect/test_source_runner.py.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from ...core.client.admin_values import NewTopic
from ...core.client.client import Client
from ...core.client.config import consumer_config
from ...core.errors import CorruptRecords
from ..api import SourceBatch, SourceKey, SourceOffset
from .config import WorkerConfig


def encoded(value: Any) -> bytes:
    """JSON with sorted keys: one source partition has one spelling, so that a newer offset replaces an older one."""
    return msgspec.json.encode(value, order="sorted")


def offset_rows(connector: str, batches: Sequence[SourceBatch]) -> pa.RecordBatch | None:
    """Records for the offsets that the batches reach, the last one of each source partition; None for none."""
    latest: dict[bytes, bytes | None] = {}
    for batch in batches:
        for partition, offset in batch.offsets:
            latest[encoded([connector, partition])] = None if offset is None else encoded(offset)
    if not latest:
        return None
    return pa.RecordBatch.from_pydict(
        {"key": pa.array(list(latest), pa.binary()), "value": pa.array(list(latest.values()), pa.binary())}
    )


async def ensure_topic(client: Client, config: WorkerConfig) -> None:
    """Create the offsets topic where there is none."""
    topic = NewTopic(
        config.offset_storage_topic,
        config.offset_storage_partitions,
        config.offset_storage_replication_factor,
        {"cleanup.policy": "compact"},
    )
    await client.admin.create_topics([topic], exist_ok=True)


async def read_topic(client: Client, topic: str) -> dict[bytes, bytes]:
    """The last committed value of each key of a compacted topic.

    Waits for open transactions of other connectors to end: what we committed after they began stands behind them.
    """
    cluster = await client.topics([topic])
    partitions = [(topic, number) for number in cluster.topics[topic].partitions]
    latest: dict[bytes, bytes] = {}
    settings = {"isolation.level": "read_committed", "auto.offset.reset": "earliest"}
    async with client.consumer(consumer_config(settings)) as consumer:
        ends = await consumer.end_offsets(partitions, isolation="read_uncommitted")
        begins = await consumer.beginning_offsets(partitions)
        left = {key for key in partitions if begins[key] < ends[key]}
        consumer.assign({key: begins[key] for key in left})
        while left:
            for records in await consumer.poll(1_000):
                for row in records.rows():
                    if row.value is None:
                        latest.pop(row.key or b"", None)
                    else:
                        latest[row.key or b""] = row.value
            for key in list(left):
                if await consumer.position(key) >= ends[key]:
                    left.discard(key)
    return latest


class StoredOffsets:
    """The OffsetReader of one connector, from what was committed when its task started."""

    def __init__(self, connector: str, latest: Mapping[bytes, bytes]) -> None:
        self._offsets: dict[bytes, tuple[SourceKey, SourceOffset]] = {}
        for key, value in latest.items():
            try:
                name, partition = json.loads(key)
                if name == connector:
                    self._offsets[encoded(partition)] = (partition, json.loads(value))
            except (ValueError, TypeError) as error:
                raise CorruptRecords(f"offsets topic: {key!r} = {value!r} is not a source offset: {error}") from error

    async def read(self, partitions: Sequence[SourceKey]) -> Sequence[SourceOffset | None]:
        found = (self._offsets.get(encoded(partition)) for partition in partitions)
        return [pair[1] if pair else None for pair in found]

    async def read_all(self) -> Sequence[tuple[SourceKey, SourceOffset]]:
        return list(self._offsets.values())
