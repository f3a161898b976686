"""First and last offsets, and offsets by time; where a leader epoch ended."""

import asyncio
import struct
from pathlib import Path

import cramjam
from core.broker.mutations import resealed
from core.broker.running import append, ask, batch_of, produce, running_broker, until

from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest, ListOffsetsResponse
from millstream.core.wire.messages.k23_offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
)

NONE = int(ErrorCode.NONE)
NOTHING = (NONE, -1, -1)


async def listed(
    broker: Broker, timestamp: int, *, version: int = 11, isolation: int = 0, topic: str = "t", epoch: int = -1
) -> tuple[int, int, int]:
    """(error code, offset, timestamp) of partition 0."""
    wanted = ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=epoch)
    request = ListOffsetsRequest(
        isolation_level=isolation, topics=[ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=[wanted])]
    )
    response: ListOffsetsResponse = await ask(broker, request, version)
    (one,) = response.topics[0].partitions
    return one.error_code, one.offset, one.timestamp


async def filled(broker: Broker) -> None:
    """Offsets 0 to 2 at 1000, 3000 and 2000 ms."""
    await broker.cluster.create_topic("t", 1, {})
    for time_ms in (1000, 3000, 2000):
        await ask(broker, produce("t", batch_of(b"v", timestamp_ms=time_ms), acks=-1), 9)


async def test_the_first_and_the_last_offset(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        broker.partition("t", 0).delete_records(1)

        assert await listed(broker, -2) == (NONE, 1, -1)
        assert await listed(broker, -4) == (NONE, 1, -1)
        assert await listed(broker, -1) == (NONE, 3, -1)


async def test_the_first_offset_that_is_not_older_than_a_time(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)

        assert await listed(broker, 0) == (NONE, 0, 1000)
        assert await listed(broker, 1001) == (NONE, 1, 3000)
        assert await listed(broker, 3000) == (NONE, 1, 3000)
        assert await listed(broker, 3001) == NOTHING
        assert await listed(broker, -3) == (NONE, 1, 3000)


async def test_what_was_acknowledged_before_is_counted_though_it_was_not_on_disk_yet(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        for count in range(1, 20):
            await ask(broker, produce("t", batch_of(b"v"), acks=1), 9)

            assert await listed(broker, -1) == (NONE, count, -1)


async def test_nothing_is_in_an_empty_log_or_in_a_lake(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})

        assert [await listed(broker, time) for time in (0, -3, -5, -6)] == [NOTHING] * 4
        assert await listed(broker, -1) == (NONE, 0, -1)


async def test_an_open_transaction_ends_what_a_reader_of_committed_records_sees(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        stamp = {"producer_id": 7, "producer_epoch": 0, "base_sequence": 0, "transactional": True}
        await append(broker, "t", batch_of(b"open", timestamp_ms=5000, **stamp))

        assert await listed(broker, -1, isolation=1) == (NONE, 3, -1)
        assert await listed(broker, 4000, isolation=1) == NOTHING
        assert await listed(broker, 4000, isolation=0) == (NONE, 3, 5000)


async def test_what_cannot_be_answered_says_why(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)

        assert (await listed(broker, -1, topic="nowhere"))[0] == int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        assert (await listed(broker, -1, epoch=4))[0] == int(ErrorCode.UNKNOWN_LEADER_EPOCH)
        assert (await listed(broker, -3, version=6))[0] == int(ErrorCode.UNSUPPORTED_VERSION)
        assert (await listed(broker, -99))[0] == int(ErrorCode.UNSUPPORTED_VERSION)


async def test_where_a_leader_epoch_ended(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        partitions = [
            OffsetForLeaderEpochRequest.OffsetForLeaderPartition(partition=partition, leader_epoch=epoch)
            for partition, epoch in ((0, 0), (0, 5), (9, 0))
        ]
        request = OffsetForLeaderEpochRequest(
            topics=[OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic="t", partitions=partitions)]
        )

        answer: OffsetForLeaderEpochResponse = await ask(broker, request, 4)

        assert [(one.error_code, one.leader_epoch, one.end_offset) for one in answer.topics[0].partitions] == [
            (NONE, 0, 3),
            NOTHING,
            (int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), -1, -1),
        ]


def crowded(count: int) -> bytes:
    """A batch of few bytes with very many records, all of them older than it says."""
    header = bytearray(batch_of(b"v", timestamp_ms=1000)[:61])
    header[22] = 4
    struct.pack_into(">i", header, 23, count - 1)
    struct.pack_into(">q", header, 35, 2000)
    struct.pack_into(">i", header, 57, count)
    record = bytes((12, 0, 0, 0, 1, 1, 0))
    return resealed(bytes(header) + bytes(cramjam.zstd.compress(record * count)))


async def test_while_millions_of_records_are_looked_through_others_are_served(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        await broker.cluster.create_topic("crowded", 1, {})
        await ask(broker, produce("crowded", crowded(1_000_000), acks=-1), 9)
        looking = asyncio.ensure_future(listed(broker, 2000, topic="crowded"))
        await until(broker.looking_up.locked)

        assert await listed(broker, -1) == (NONE, 3, -1)
        assert not looking.done()
        assert await looking == NOTHING


async def test_a_batch_with_too_much_to_look_through_is_named_as_a_whole(tmp_path: Path) -> None:
    """Java reads it all, however much that is; here who reads on from its first record misses nothing."""
    async with running_broker(tmp_path) as broker:
        await filled(broker)
        await ask(broker, produce("t", crowded(10_000_000), acks=-1), 9)

        assert await listed(broker, 2001) == (NONE, 1, 3000)
        broker.partition("t", 0).delete_records(2)
        assert await listed(broker, 2001) == NOTHING
        assert await listed(broker, 1500) == (NONE, 2, 2000)
        broker.partition("t", 0).delete_records(5)
        assert await listed(broker, 1500) == (NONE, 5, 2000)
