"""Partitions join a transaction by being written to: only once that is on disk, and batches stay in their order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from core.broker.gated_disk import GatedDisk
from core.broker.running import ask, batch_of, running_broker, until
from core.broker.transactional import TransactionalProducer, committed_offset, state_of, visible
from core.broker.wire_client import WireClient

from millstream.core.broker.broker import Broker
from millstream.core.broker.coordination.internal_topics import TRANSACTIONS_TOPIC
from millstream.core.broker.network.server import Server
from millstream.core.errors import ErrorCode, StorageError
from millstream.core.wire.messages.k00_produce import ProduceRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k26_end_txn import EndTxnRequest
from millstream.core.wire.messages.k28_txn_offset_commit import TxnOffsetCommitRequest

NONE = ErrorCode.NONE
NAME = "payments"
PRODUCE, END, OFFSETS = 12, 5, 5


@asynccontextmanager
async def served(path: Path, disk: GatedDisk) -> AsyncIterator[tuple[Broker, WireClient, TransactionalProducer]]:
    """A broker with topic `logs` of two partitions, a connection to it, and a producer that has begun."""
    async with running_broker(path, disk=disk) as broker, Server(broker, "127.0.0.1", 0) as server:
        await broker.cluster.create_topic("logs", 2, {})
        producer = TransactionalProducer(broker, NAME)
        assert await producer.begin() is NONE
        try:
            async with WireClient(server.address) as client:
                yield broker, client, producer
        finally:
            disk.open_gate.set()


def produce(producer: TransactionalProducer, sequence: int, *partitions: int, acks: int = -1) -> ProduceRequest:
    """One record for each partition, whose value is the sequence number."""
    return ProduceRequest(
        transactional_id=NAME,
        acks=acks,
        timeout_ms=10_000,
        topic_data=[
            ProduceRequest.TopicProduceData(
                name="logs",
                partition_data=[
                    ProduceRequest.PartitionProduceData(
                        index=partition,
                        records=batch_of(
                            b"%d" % sequence,
                            producer_id=producer.producer[0],
                            producer_epoch=producer.producer[1],
                            base_sequence=sequence,
                            transactional=True,
                        ),
                    )
                    for partition in partitions
                ],
            )
        ],
    )


def end(producer: TransactionalProducer, *, commit: bool = True) -> EndTxnRequest:
    producer_id, epoch = producer.producer
    return EndTxnRequest(transactional_id=NAME, producer_id=producer_id, producer_epoch=epoch, committed=commit)


def codes(response: object) -> list[ErrorCode]:
    return [ErrorCode(part.error_code) for topic in response.responses for part in topic.partition_responses]


def ends(broker: Broker) -> list[int]:
    """How much has been appended to the partitions of `logs`, on disk or not."""
    return [broker.partition("logs", partition).end_offset for partition in (0, 1)]


async def test_what_is_sent_ahead_is_appended_in_order_once_the_join_is_on_disk(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with served(tmp_path, disk) as (broker, client, producer):
        disk.open_gate.clear()
        state = broker.partition(TRANSACTIONS_TOPIC, 0)
        for sequence in range(5):
            client.send(produce(producer, sequence, 0), PRODUCE)
        await until(lambda: state.end_offset > state.flushed_offset)
        while_joining = ends(broker)
        disk.open_gate.set()
        answers = [codes(await client.receive()) for _ in range(5)]
        await client.ask(end(producer), END)

        assert while_joining == [0, 0]
        assert answers == [[NONE]] * 5
        assert await visible(broker, "logs", 2) == [[b"0", b"1", b"2", b"3", b"4"], []]


async def test_a_batch_that_is_not_the_first_does_not_begin_a_transaction(tmp_path: Path) -> None:
    """Whether its partition has joined already or not: what was before it was refused, or is lost."""
    async with served(tmp_path, GatedDisk()) as (broker, client, producer):
        first = codes(await client.ask(produce(producer, 3, 0), PRODUCE))
        joined = codes(await client.ask(produce(producer, 3, 0), PRODUCE))

        assert first == joined == [ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER]
        assert await state_of(broker, NAME) == "Ongoing"
        assert codes(await client.ask(produce(producer, 0, 0), PRODUCE)) == [NONE]


@pytest.mark.parametrize("acks", [0, 1, -1])
async def test_partitions_of_one_request_join_together_whatever_it_waits_for(tmp_path: Path, acks: int) -> None:
    async with served(tmp_path, GatedDisk()) as (broker, client, producer):
        before = broker.partition(TRANSACTIONS_TOPIC, 0).end_offset
        client.send(produce(producer, 0, 0, 1, acks=acks), PRODUCE, answered=acks != 0)
        if acks:
            assert codes(await client.receive()) == [NONE, NONE]
        joined = await client.ask(produce(producer, 1, 0, 1), PRODUCE)

        assert codes(joined) == [NONE, NONE]
        assert broker.partition(TRANSACTIONS_TOPIC, 0).end_offset == before + 1
        await client.ask(end(producer), END)
        assert await visible(broker, "logs", 2) == [[b"0", b"1"]] * 2


async def test_a_producer_that_is_fenced_while_it_waits_appends_nothing(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with served(tmp_path, disk) as (broker, client, producer):
        disk.open_gate.clear()
        client.send(produce(producer, 0, 0), PRODUCE)
        state = broker.partition(TRANSACTIONS_TOPIC, 0)
        await until(lambda: state.end_offset > state.flushed_offset)
        joined_at = state.end_offset
        successor = TransactionalProducer(broker, NAME)
        fencing = asyncio.ensure_future(successor.begin())
        await until(lambda: state.end_offset > joined_at)
        disk.open_gate.set()
        answer = codes(await client.receive())

        assert await fencing is ErrorCode.CONCURRENT_TRANSACTIONS
        assert answer[0] in (ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.CONCURRENT_TRANSACTIONS)
        assert await successor.begin() is NONE
        assert [log.open_transactions() for log in map(broker.partition, ["logs"] * 2, [0, 1])] == [{}, {}]
        assert await visible(broker, "logs") == [[]]


async def test_a_client_that_goes_away_while_it_waits_leaves_a_transaction_that_can_be_ended(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with served(tmp_path, disk) as (broker, client, producer):
        disk.open_gate.clear()
        client.send(produce(producer, 0, 0), PRODUCE)
        state = broker.partition(TRANSACTIONS_TOPIC, 0)
        await until(lambda: state.end_offset > state.flushed_offset)
        client.writer.close()
        disk.open_gate.set()
        await until(lambda: ends(broker) == [1, 0])
        reply = await ask(broker, end(producer), END)

        assert (ErrorCode(reply.error_code), reply.producer_epoch) == (NONE, producer.producer[1] + 1)
        assert await visible(broker, "logs") == [[b"0"]]


async def test_nothing_is_in_a_partition_whose_join_cannot_be_written(tmp_path: Path) -> None:
    disk = GatedDisk()
    with pytest.raises(StorageError, match="offline"):  # noqa: PT012
        async with served(tmp_path, disk) as (broker, client, producer):
            disk.open_gate.clear()
            client.send(produce(producer, 0, 0), PRODUCE)
            state = broker.partition(TRANSACTIONS_TOPIC, 0)
            await until(lambda: state.end_offset > state.flushed_offset)
            disk.broken = True
            disk.open_gate.set()
            answer = codes(await client.receive())
            found = ends(broker)

    assert answer == [ErrorCode.NOT_ENOUGH_REPLICAS]
    assert found == [0, 0]


async def test_a_group_joins_by_its_offsets(tmp_path: Path) -> None:
    disk = GatedDisk()
    async with served(tmp_path, disk) as (broker, client, producer):
        producer_id, epoch = producer.producer
        part = TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=9)
        request = TxnOffsetCommitRequest(
            transactional_id=NAME,
            group_id="readers",
            producer_id=producer_id,
            producer_epoch=epoch,
            topics=[TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(name="logs", partitions=[part])],
        )
        disk.open_gate.clear()
        client.send(request, OFFSETS)
        state = broker.partition(TRANSACTIONS_TOPIC, 0)
        await until(lambda: state.end_offset > state.flushed_offset)
        log = broker.partition("__consumer_offsets", 0)
        while_joining = log.end_offset
        disk.open_gate.set()
        response = await client.receive()
        pending = await committed_offset(broker, "readers", "logs")
        await client.ask(end(producer), END)

        assert while_joining == 0
        assert [part.error_code for topic in response.topics for part in topic.partitions] == [0]
        assert pending == -1
        assert await committed_offset(broker, "readers", "logs") == 9
        assert await state_of(broker, NAME) == "CompleteCommit"


async def test_each_end_brings_the_next_epoch_on_disk(tmp_path: Path) -> None:
    """After a restart a repeated end is still known, and the epoch before is still fenced."""
    values: Sequence[list[bytes | None]]
    async with served(tmp_path, GatedDisk()) as (broker, client, producer):
        await client.ask(produce(producer, 0, 0), PRODUCE)
        first = await client.ask(end(producer), END)
    async with running_broker(tmp_path) as broker:
        again = await ask(broker, end(producer), END)
        zombie = await ask(broker, produce(producer, 1, 0), PRODUCE)
        going_on = await ask(broker, InitProducerIdRequest(transactional_id=NAME, transaction_timeout_ms=1000), 5)
        values = await visible(broker, "logs")

    old_id, old_epoch = producer.producer
    assert (first.error_code, first.producer_id, first.producer_epoch) == (0, old_id, old_epoch + 1)
    assert again == first
    assert codes(zombie) == [ErrorCode.INVALID_PRODUCER_EPOCH]
    assert (going_on.producer_id, going_on.producer_epoch) == (old_id, old_epoch + 2)
    assert values == [[b"0"]]
