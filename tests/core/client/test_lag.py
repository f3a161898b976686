"""How far groups are behind, in records and in time; offsets that admins delete. The same against a real Kafka."""

import pytest
from core.client.conftest import Target
from core.client.reading import consumer, new_topic, producer, write

from millstream.core.client.administration.admin_groups import Lag, delete_group_offsets, measure_lag
from millstream.core.client.client import Client
from millstream.core.errors import ErrorCode, ProtocolError

START_MS = 1_700_000_000_000


async def write_seconds(client: Client, topic: str, *seconds: int) -> None:
    """A batch of its own for each record, so many seconds after the start."""
    async with producer(client, linger_ms=0) as writer:
        for second in seconds:
            await (await writer.produce(topic, b"v", partition=0, timestamp_ms=START_MS + second * 1_000))


async def test_lag_in_time_is_from_the_next_record_to_the_newest(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name(), partitions=2)
        await write_seconds(client, topic, 0, 10, 25, 70, 60)
        keys = [(topic, 0), (topic, 1)]

        behind = (await measure_lag(client, {(topic, 0): 1, (topic, 1): 0}, keys))[topic, 0]
        done = (await measure_lag(client, {(topic, 0): 5}, keys))[topic, 0]
        last = (await measure_lag(client, {(topic, 0): 4}, keys))[topic, 0]
        unknown = await measure_lag(client, {}, keys)

        assert behind == Lag(1, 0, 5, START_MS + 10_000, START_MS + 70_000)
        assert (behind.records, behind.time_ms) == (4, 60_000)
        assert (done.records, done.time_ms) == (0, 0)
        assert (last.records, last.time_ms) == (1, 10_000)
        assert unknown == {(topic, 0): Lag(None, 0, 5), (topic, 1): Lag(None, 0, 0)}
        assert (unknown[topic, 0].records, unknown[topic, 0].time_ms) == (None, None)


async def test_what_is_deleted_counts_as_records_and_the_time_is_of_the_first_that_is_left(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write_seconds(client, topic, 0, 10, 25, 30)
        await client.admin.delete_records({(topic, 0): 2})

        lag = (await measure_lag(client, {(topic, 0): 0}, [(topic, 0)]))[topic, 0]

        assert (lag.begin, lag.records, lag.time_ms) == (2, 4, 5_000)


async def test_a_marker_of_a_transaction_is_no_record_to_wait_for(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        async with producer(client, transactional_id=cluster.name("txn")) as writer:
            await writer.init_transactions()
            writer.begin()
            await (await writer.produce(topic, b"v", partition=0, timestamp_ms=START_MS))
            await writer.commit()

        lag = (await measure_lag(client, {(topic, 0): 1}, [(topic, 0)]))[topic, 0]

        while lag.end == 1:  # The marker may come a little after the answer to the commit.
            lag = (await measure_lag(client, {(topic, 0): 1}, [(topic, 0)]))[topic, 0]
        assert (lag.records, lag.time_ms, lag.next_ms) == (1, 0, None)


async def test_offsets_are_deleted_unless_members_read_the_topic(cluster: Target):
    async with cluster.client() as client:
        read, left = await new_topic(client, cluster.name()), await new_topic(client, cluster.name(), partitions=2)
        group = cluster.name("group")
        await client.admin.alter_group_offsets(group, {(left, 0): 3, (left, 1): 4, (read, 0): 5})
        async with consumer(client, group_id=group, heartbeat_interval_ms=100) as reader:
            reader.subscribe([read])
            while not reader.assignment:
                await reader.poll(100)

            with pytest.raises(ProtocolError) as caught:
                await delete_group_offsets(client, group, [(read, 0), (left, 0)])

        assert caught.value.code is ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
        assert sorted(await client.admin.group_offsets(group)) == sorted([(read, 0), (left, 1)])
        await delete_group_offsets(client, group, [(read, 0), (left, 1)])
        assert await client.admin.group_offsets(group) == {}


async def test_offsets_of_no_group_cannot_be_deleted(cluster: Target):
    async with cluster.client() as client:
        topic = await new_topic(client, cluster.name())
        await write(client, topic, [b"v"])

        with pytest.raises(ProtocolError) as caught:
            await delete_group_offsets(client, cluster.name("none"), [(topic, 0)])

        assert caught.value.code is ErrorCode.GROUP_ID_NOT_FOUND
