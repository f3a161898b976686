"""What tests that need a cluster share: topics, input, and what is in a topic at the end."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from millstream.core.client.administration.admin_values import NewTopic
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config, producer_config
from millstream.core.records import Row


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


async def create(client: Client, topic: str, partitions: int) -> None:
    await client.admin.create_topics([NewTopic(topic, partitions, -1, {"retention.ms": "-1"})])


async def fill(client: Client, topic: str, values: Mapping[int, Sequence[Mapping[str, Any] | bytes]]) -> None:
    """Writes values, as JSON unless they are bytes, to partitions, in batches of a few hundred."""
    async with client.producer(producer_config({})) as producer:
        for partition, rows in values.items():
            raw = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
            for at in range(0, len(raw), 300):
                part = pa.array(raw[at : at + 300], pa.binary())
                columns = pa.RecordBatch.from_arrays([pa.nulls(len(part), pa.binary()), part], ["key", "value"])
                await producer.send(topic, columns, partition)
        await producer.flush()


async def read_all(client: Client, topic: str) -> list[Row]:
    """All committed records of a topic, partition by partition."""
    count = (await client.topics([topic])).partition_count(topic) or 0
    places = [(topic, partition) for partition in range(count)]
    rows: list[Row] = []
    async with client.consumer(consumer_config({"isolation.level": "read_committed"})) as consumer:
        starts = await consumer.beginning_offsets(places)
        # A transaction that was just committed may still look open.
        ends = await consumer.end_offsets(places, isolation="read_uncommitted")
        for place in places:
            consumer.assign({place: starts[place]})
            while await consumer.position(place) < ends[place]:
                for records in await consumer.poll(200):
                    rows += records.rows()
    return rows
