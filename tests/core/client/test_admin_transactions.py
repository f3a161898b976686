"""Listing, describing and aborting transactions, the same against a real Kafka."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from core.broker.running import batch_of
from core.client.conftest import Target
from core.client.reading import new_topic, producer, values_of

from millstream.core.client.administration.admin_transactions import TransactionAdmin
from millstream.core.client.administration.admin_values import ResourceKind
from millstream.core.client.client import Client
from millstream.core.errors import ErrorCode, ProtocolError
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.embedded import open_client

HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def left_hanging(client: Client, cluster: Target, topic: str) -> int:
    """A transactional batch in partition 0 whose transaction no coordinator knows; the producer's id.

    Kafka takes it only where it does not ask the coordinator about each new transaction.
    """
    name = cluster.name("hanging")
    async with producer(client, transactional_id=name) as writer:
        await writer.init_transactions()
    connection = await client.node(None)
    made = await connection.send(InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=60_000))
    assert made.error_code == 0, made
    batch = batch_of(
        b"never ended",
        timestamp_ms=now_ms() - HOUR_MS,
        producer_id=made.producer_id,
        producer_epoch=made.producer_epoch,
        base_sequence=0,
        transactional=True,
    )
    data = ProduceRequest.PartitionProduceData(index=0, records=batch)
    request = ProduceRequest(
        transactional_id=name,
        acks=-1,
        timeout_ms=10_000,
        topic_data=[ProduceRequest.TopicProduceData(name=topic, partition_data=[data])],
    )
    leader = await client.node(client.cluster.leader(topic, 0))
    error = -1
    while error:
        response = await leader.send(request, version=11)
        error = response.responses[0].partition_responses[0].error_code
        # The setting below reaches a real Kafka a moment after it is answered.
        assert error in (ErrorCode.NONE, ErrorCode.INVALID_TXN_STATE, ErrorCode.NOT_ENOUGH_REPLICAS), response
        await asyncio.sleep(0)
    return int(made.producer_id)


@contextlib.asynccontextmanager
async def unverified(cluster: Target, folder: Path) -> AsyncIterator[Client]:
    """A client of a cluster that does not ask coordinators about transactions that begin in a partition."""
    setting = "transaction.partition.verification.enable"
    if cluster.kind != "kafka":
        async with open_client(f"embedded:{folder}", broker_settings={setting: "false"}) as client:
            yield client
        return
    async with cluster.client() as client:
        (node,) = client.cluster.nodes
        await client.admin.alter_configs(ResourceKind.BROKER, str(node), {setting: "false"})
        try:
            yield client
        finally:
            await client.admin.alter_configs(ResourceKind.BROKER, str(node), {}, delete=[setting])


async def test_an_open_transaction_is_listed_and_described(cluster: Target):
    async with cluster.client() as client:
        admin = TransactionAdmin(client)
        topic, name = await new_topic(client, cluster.name(), partitions=2), cluster.name("txn")
        async with producer(client, transactional_id=name) as writer:
            await writer.init_transactions()
            writer.begin()
            await (await writer.produce(topic, b"v", partition=1))

            (listed,) = [
                one for one in await admin.list_transactions(states=["Ongoing"]) if one.transactional_id == name
            ]
            (same,) = await admin.list_transactions(producer_ids=[listed.producer_id])
            described = (await admin.describe_transactions([name]))[name]
            producers = await admin.describe_producers([(topic, 0), (topic, 1)])

            assert same == listed
            assert await admin.list_transactions(producer_ids=[listed.producer_id], running_ms=HOUR_MS) == []
            assert (described.state, described.producer_id) == ("Ongoing", listed.producer_id)
            assert described.partitions == ((topic, 1),)
            assert abs(now_ms() - described.started_ms) < HOUR_MS
            assert producers[topic, 0] == ()
            (active,) = producers[topic, 1]
            assert (active.producer_id, active.transaction_start, active.last_sequence) == (listed.producer_id, 0, 0)
            assert await admin.find_hanging([(topic, 0), (topic, 1)], older_than_ms=-HOUR_MS, now_ms=now_ms()) == []
            await writer.commit()

        ended = (await admin.describe_producers([(topic, 1)]))[topic, 1]
        while ended[0].in_transaction:  # The marker may come a little after the answer.
            ended = (await admin.describe_producers([(topic, 1)]))[topic, 1]
        assert await admin.list_transactions(states=["Ongoing"], producer_ids=[listed.producer_id]) == []


async def test_what_is_not_known_is_said(cluster: Target):
    async with cluster.client() as client:
        admin = TransactionAdmin(client)

        with pytest.raises(ProtocolError) as caught:
            await admin.describe_transactions([cluster.name("none")])
        assert caught.value.code is ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
        with pytest.raises(ProtocolError, match="no such state: Running"):
            await admin.list_transactions(states=["Running"])


async def test_a_hanging_transaction_is_found_and_aborted(cluster: Target, tmp_path: Path):
    async with unverified(cluster, tmp_path / "data") as client:
        admin = TransactionAdmin(client)
        topic = await new_topic(client, cluster.name())
        key = (topic, 0)
        producer_id = await left_hanging(client, cluster, topic)
        async with producer(client) as writer:
            await (await writer.produce(topic, b"after", partition=0))

        (found,) = await admin.find_hanging([key], older_than_ms=HOUR_MS // 2, now_ms=now_ms())
        assert (found.partition, found.producer.producer_id, found.producer.transaction_start) == (key, producer_id, 0)
        assert await admin.find_hanging([key], older_than_ms=2 * HOUR_MS, now_ms=now_ms()) == []
        await admin.abort(key, found.producer)

        assert await admin.find_hanging([key], older_than_ms=HOUR_MS // 2, now_ms=now_ms()) == []
        assert await values_of(client, topic, isolation_level="read_committed") == [b"after"]
