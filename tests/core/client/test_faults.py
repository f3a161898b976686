"""What must hold when connections break at any moment: seeds replay it."""

import asyncio

import pytest
from core.client.conftest import Target
from core.client.reading import columns, consumer, new_topic, numbered, producer, read_all, read_rows, values_of, write
from thoroughness import some

from millstream.core.client.consuming.offsets import TopicPartition
from millstream.core.errors import ProtocolError, Retriable
from millstream.core.wire.apis import ApiKey

SEEDS = range(some(4))
PATIENT = {"retry_backoff_ms": 1, "retry_backoff_max_ms": 20, "reconnect_backoff_ms": 1}


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_idempotent_producer_neither_repeats_nor_reorders_nor_loses(cluster: Target, seed: int):
    async with cluster.client() as calm:
        topic = await new_topic(calm, cluster.name(), partitions=2)
        keys = [ApiKey.PRODUCE, ApiKey.INIT_PRODUCER_ID]
        async with cluster.faulty_client(seed, keys, **PATIENT) as client, producer(client, batch_size=1) as writer:
            for start in range(0, 400, 5):
                await writer.send(topic, columns(numbered(5, start)), start // 5 % 2)
                if start % 50 == 0:
                    await asyncio.sleep(0)
        assert cluster.losses > 10

        rows = await read_all(calm, topic)
        values = [row.value for row in rows]
        assert sorted(value or b"" for value in values) == numbered(400)
        assert values == sorted(values, key=lambda value: (int(value or 0) // 5 % 2, value))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_reader_gets_every_row_once_and_in_order(cluster: Target, seed: int):
    async with cluster.client() as calm:
        topic = await new_topic(calm, cluster.name())
        for start in range(0, 300, 10):
            await write(calm, topic, numbered(10, start))
        keys = [ApiKey.FETCH, ApiKey.LIST_OFFSETS, ApiKey.METADATA]
        async with (
            cluster.faulty_client(seed, keys, **PATIENT) as client,
            consumer(client, max_partition_fetch_bytes=400, fetch_buffer_bytes=1000) as reader,
        ):
            reader.assign({(topic, 0): None})
            assert [row.value for row in (await read_rows(reader, 300))[0]] == numbered(300)


@pytest.mark.parametrize("seed", SEEDS)
async def test_copying_in_transactions_is_exact(cluster: Target, seed: int):
    keys = [
        ApiKey.PRODUCE, ApiKey.INIT_PRODUCER_ID, ApiKey.ADD_PARTITIONS_TO_TXN, ApiKey.ADD_OFFSETS_TO_TXN,
        ApiKey.TXN_OFFSET_COMMIT, ApiKey.END_TXN, ApiKey.FIND_COORDINATOR, ApiKey.OFFSET_FETCH, ApiKey.FETCH,
    ]  # fmt: skip
    async with cluster.client() as calm:
        source, copy = await new_topic(calm, cluster.name()), await new_topic(calm, cluster.name(), partitions=2)
        group, name = cluster.name("group"), cluster.name("txn")
        await write(calm, source, numbered(200))
        async with cluster.faulty_client(seed, keys, **PATIENT) as client:
            copied = 0
            while copied < 200:
                try:
                    copied = await copy_some(client, (source, 0), copy, group, name)
                except (Retriable, ProtocolError):
                    continue
        values = await values_of(calm, copy, isolation_level="read_committed")
        assert sorted(value or b"" for value in values) == numbered(200)


async def copy_some(client, source: TopicPartition, copy: str, group: str, name: str) -> int:
    """A copier's life of four transactions; returns how far it came."""
    end = 0
    async with (
        consumer(client, group_id=group, isolation_level="read_committed") as reader,
        producer(client, transactional_id=name) as writer,
    ):
        await writer.init_transactions()
        reader.assign({source: None})
        for _ in range(4):
            taken = await reader.poll(2000, max_records=17)
            rows = [row for records in taken for row in records.rows()]
            if not rows:
                return await reader.position(source)
            end = rows[-1].offset + 1
            writer.begin()
            await writer.send(copy, columns([row.value for row in rows]), end % 2)
            await writer.send_offsets({source: end}, reader.group_metadata)
            await writer.commit()
    return end


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_group_settles_and_reads_everything(cluster: Target, seed: int):
    keys = [
        ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP, ApiKey.HEARTBEAT, ApiKey.OFFSET_COMMIT, ApiKey.OFFSET_FETCH,
        ApiKey.FIND_COORDINATOR, ApiKey.LEAVE_GROUP,
    ]  # fmt: skip
    config = {"heartbeat_interval_ms": 50, "session_timeout_ms": 6000, "enable_auto_commit": True}
    async with cluster.client() as calm:
        topic, group = await new_topic(calm, cluster.name(), partitions=4), cluster.name("group")
        for partition in range(4):
            await write(calm, topic, numbered(25, partition * 25), partition)
        async with cluster.faulty_client(seed, keys, **PATIENT) as client:
            seen: list[bytes | None] = []
            async with (
                consumer(client, group_id=group, **config) as first,
                consumer(client, group_id=group, **config) as second,
            ):
                first.subscribe([topic])
                second.subscribe([topic])
                while len(set(seen)) < 100 or {len(first.assignment), len(second.assignment)} != {2}:
                    for one in (first, second):
                        for records in await one.poll(20, max_records=5):
                            seen += (row.value for row in records.rows())
        assert set(seen) == set(numbered(100))
