"""Markers that are written from outside, and what the coordinator of the broker makes of them."""

from pathlib import Path

import pytest
from core.broker.running import ask, running_broker
from core.broker.transactional import TransactionalProducer, committed_offset, state_of, visible

from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k27_write_txn_markers import WriteTxnMarkersRequest

NONE = ErrorCode.NONE


async def mark(
    broker: Broker, producer: tuple[int, int], topic: str, *, commit: bool = False, coordinator_epoch: int = 0
) -> ErrorCode:
    """In partition 0."""
    marker = WriteTxnMarkersRequest.WritableTxnMarker(
        producer_id=producer[0],
        producer_epoch=producer[1],
        transaction_result=commit,
        coordinator_epoch=coordinator_epoch,
        topics=[WriteTxnMarkersRequest.WritableTxnMarkerTopic(name=topic, partition_indexes=[0])],
    )
    response = await ask(broker, WriteTxnMarkersRequest(markers=[marker]), 1)
    return ErrorCode(response.markers[0].topics[0].partitions[0].error_code)


async def test_a_hanging_transaction_is_aborted_and_readers_pass_it(tmp_path: Path) -> None:
    """Without verification a producer of the first protocol may write after its transaction has ended."""
    settings = {"transaction.partition.verification.enable": "false"}
    async with running_broker(tmp_path, settings) as broker:
        await broker.cluster.create_topic("logs", 1, {})
        producer = TransactionalProducer(broker, "payments")
        await producer.begin()
        await producer.add(("logs", 0))
        assert await producer.send("logs", 0, b"whole") is NONE
        assert await producer.end() is NONE
        assert await producer.send("logs", 0, b"hanging") is NONE
        other = TransactionalProducer(broker, "other")
        await other.begin()
        await other.add(("logs", 0))
        assert await other.send("logs", 0, b"behind it") is NONE
        assert await other.end() is NONE
        hanging = await visible(broker, "logs")

        assert await mark(broker, producer.producer, "logs") is NONE

        assert hanging == [[b"whole"]]
        assert await visible(broker, "logs") == [[b"whole", b"behind it"]]
        assert broker.partition("logs", 0).open_transactions() == {}


async def test_with_verification_nothing_hangs(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("logs", 1, {})
        producer = TransactionalProducer(broker, "payments")
        await producer.begin()
        await producer.add(("logs", 0))
        await producer.send("logs", 0, b"whole")
        await producer.end()

        assert await producer.send("logs", 0, b"hanging") is ErrorCode.INVALID_TXN_STATE
        assert broker.partition("logs", 0).open_transactions() == {}


@pytest.mark.parametrize("commit", [True, False])
async def test_pending_offsets_of_a_group_end_with_a_marker_in_their_partition(tmp_path: Path, commit: bool) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("logs", 1, {})
        producer = TransactionalProducer(broker, "payments")
        await producer.begin()
        assert await producer.send_offset("readers", "logs", 7) == [0, 0]

        assert await mark(broker, producer.producer, "__consumer_offsets", commit=commit) is NONE

        assert await committed_offset(broker, "readers", "logs") == (7 if commit else -1)


async def test_a_transaction_ends_though_a_marker_of_a_later_coordinator_is_in_its_partition(tmp_path: Path) -> None:
    """As in logs taken over from a cluster in which coordinators changed."""
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("logs", 1, {})
        producer = TransactionalProducer(broker, "payments")
        await producer.begin()
        assert await mark(broker, producer.producer, "logs", coordinator_epoch=7) is NONE
        await producer.add(("logs", 0))
        assert await producer.send("logs", 0, b"x") is NONE

        assert await producer.end() is NONE

        assert await state_of(broker, "payments") == "CompleteCommit"
        assert await visible(broker, "logs") == [[b"x"]]
