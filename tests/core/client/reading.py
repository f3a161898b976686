"""What the tests here share: writing some rows, and reading a topic to its end."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from millstream.core.client.administration.admin_values import NewTopic
from millstream.core.client.client import Client
from millstream.core.client.config import consumer_config, producer_config
from millstream.core.client.consuming.consumer import Consumer
from millstream.core.client.producing.producer import Producer
from millstream.core.records import Row


def columns(values: Sequence[bytes | None], keys: Sequence[bytes | None] | None = None) -> pa.RecordBatch:
    """Rows as send() takes them."""
    return pa.record_batch(
        {
            "key": pa.array([None] * len(values) if keys is None else list(keys), pa.binary()),
            "value": pa.array(list(values), pa.binary()),
        }
    )


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%06d" % number for number in range(start, start + count)]


def consumer(client: Client, **config: Any) -> Consumer:
    """A consumer that begins at the start; settings by Kafka's names, with _ for the dots."""
    values = {"auto.offset.reset": "earliest", "fetch.max.wait.ms": 50}
    return client.consumer(consumer_config(values | {name.replace("_", "."): value for name, value in config.items()}))


def producer(client: Client, **config: Any) -> Producer:
    return client.producer(producer_config({name.replace("_", "."): value for name, value in config.items()}))


async def new_topic(client: Client, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
    await client.admin.create_topics([NewTopic(name, partitions, 1, configs or {})])
    await client.topics([name])
    return name


async def write(client: Client, topic: str, values: Sequence[bytes | None], partition: int | None = 0) -> None:
    async with producer(client) as writer:
        await writer.send(topic, columns(values), partition)


async def read_rows(reader: Consumer, count: int) -> dict[int, list[Row]]:
    """Poll until at least `count` rows came; rows by partition."""
    found: dict[int, list[Row]] = {}
    while sum(map(len, found.values())) < count:
        for records in await reader.poll(1000):
            found.setdefault(records.partition, []).extend(records.rows())
    return found


async def read_all(client: Client, topic: str, **config: Any) -> list[Row]:
    """The rows of a topic up to its present end, partition by partition.

    The end is that of all records: a commit that was just answered has its markers, on a Kafka, only a little later.
    """
    count = client.cluster.partition_count(topic)
    assert count is not None
    async with consumer(client) as everything:
        ends = await everything.end_offsets([(topic, number) for number in range(count)])
    async with consumer(client, **config) as reader:
        reader.assign(dict.fromkeys(ends, 0))
        rows: list[tuple[int, Row]] = []
        while any([await reader.position(partition) < end for partition, end in ends.items()]):
            for records in await reader.poll(1000):
                rows += ((records.partition, row) for row in records.rows())
        return [row for _, row in sorted(rows, key=lambda item: (item[0], item[1].offset))]


async def values_of(client: Client, topic: str, **config: Any) -> list[bytes | None]:
    return [row.value for row in await read_all(client, topic, **config)]
