"""What a running broker does by itself: compacted topics shrink, and deleted files go."""

import asyncio
import os
from pathlib import Path

from core.broker.running import ask, batch_of, partitions_of, produce, produced, running_broker, until
from core.log.log_world import FixedClock

from millstream.core.broker.broker import Broker
from millstream.core.broker.coordination.internal_topics import OFFSETS_TOPIC
from millstream.core.broker.housekeeping import delete_old_segments, forget_producers
from millstream.core.coordinators.cluster_commands import AlterConfigs, ConfigChange, ConfigOperation, ResourceType
from millstream.core.log.group_commit import GroupCommit
from millstream.core.log.partition_log import PartitionLog
from millstream.core.wire.batches import SimpleRecord, build_batch
from millstream.core.wire.messages.k01_fetch import FetchRequest
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k09_offset_fetch import OffsetFetchRequest

QUICK_CLEANER = {"log.cleaner.backoff.ms": 10, "log.cleaner.dedupe.buffer.size": 1 << 20}


def keyed(key: bytes, value: bytes) -> bytes:
    return build_batch([SimpleRecord(0, 1_700_000_000_000, key, value)], timestamp_ms=0)


async def changed(log: PartitionLog, size_bytes: int) -> None:
    """Ends when the cleaner, in its own thread and process, has made the log smaller than that."""
    async with asyncio.timeout(60):
        while log.size_bytes >= size_bytes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def fill(broker: Broker, topic: str, values: int) -> None:
    for number in range(values):
        batch = keyed(b"key %d" % (number % 3), b"%d" % number * 2000)
        assert produced(await ask(broker, produce(topic, batch, acks=1), 9))[0][0] == 0


async def test_a_compacted_topic_shrinks_while_it_is_served_and_its_policy_may_come_later(tmp_path: Path) -> None:
    async with running_broker(tmp_path, QUICK_CLEANER) as broker:
        await broker.cluster.create_topic("t", 1, {"segment.bytes": str(1 << 20)})
        await fill(broker, "t", 400)
        log = broker.partition("t", 0)
        size_bytes = log.size_bytes
        assert len(log.segments.layout.segments) > 2

        change = ConfigChange("cleanup.policy", ConfigOperation.SET, "compact,delete")
        await broker.cluster.alter_configs(AlterConfigs(ResourceType.TOPIC, "t", [change], replace=False))
        await changed(log, size_bytes // 2)

        read = log.read(0, max_bytes=1 << 20)
        assert read.data
        fetched = await ask(
            broker,
            FetchRequest(
                max_wait_ms=0, min_bytes=1, max_bytes=1 << 20,
                topics=[
                    FetchRequest.FetchTopic(
                        topic="t",
                        partitions=[FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1)],
                    )
                ],
            ),
            12,
        )  # fmt: skip
        assert partitions_of(fetched)[0].error_code == 0


async def commit(broker: Broker, offset: int, metadata: str) -> None:
    answer = await ask(
        broker,
        OffsetCommitRequest(
            group_id="g", generation_id_or_member_epoch=-1,
            topics=[
                OffsetCommitRequest.OffsetCommitRequestTopic(
                    name="t",
                    partitions=[
                        OffsetCommitRequest.OffsetCommitRequestPartition(
                            partition_index=0, committed_offset=offset, committed_metadata=metadata
                        )
                    ],
                )
            ],
        ),
        8,
    )  # fmt: skip
    assert answer.topics[0].partitions[0].error_code == 0


async def test_the_offsets_topic_stays_small_whatever_is_committed(tmp_path: Path) -> None:
    settings = QUICK_CLEANER | {"offsets.topic.segment.bytes": 1 << 20}
    async with running_broker(tmp_path, settings) as broker:
        await broker.cluster.create_topic("t", 1, {})
        log = broker.partition(OFFSETS_TOPIC, 0)
        for offset in range(1500):
            await commit(broker, offset, "m" * 4000)
        assert log.end_offset >= 1500
        await changed(log, 2 << 20)

    async with running_broker(tmp_path, settings) as broker:
        request = OffsetFetchRequest(
            group_id="g", topics=[OffsetFetchRequest.OffsetFetchRequestTopic(name="t", partition_indexes=[0])]
        )
        answer = await ask(broker, request, 5)
        assert answer.topics[0].partitions[0].committed_offset == 1499
        assert broker.partition(OFFSETS_TOPIC, 0).size_bytes < 3 << 20


async def test_files_of_deleted_segments_go_after_their_delay(tmp_path: Path) -> None:
    async with running_broker(tmp_path, {"log.retention.check.interval.ms": 10}) as broker:
        await broker.cluster.create_topic(
            "t", 1, {"segment.bytes": str(1 << 20), "retention.bytes": "1", "file.delete.delay.ms": "0"}
        )
        await fill(broker, "t", 300)
        log = broker.partition("t", 0)
        await until(lambda: any(name.endswith(".deleted") for name in os.listdir(log.path)))
        await asyncio.to_thread(broker.logs.remove_deleted, broker.clock.now_ms() + 1)
        await until(lambda: len(log.segments.layout.segments) == 1)


async def test_silent_producers_are_forgotten_unless_their_transaction_is_open(tmp_path: Path) -> None:
    """`producer.id.expiration.ms` counts from the last batch; after that any first sequence is taken, as by Kafka."""
    async with running_broker(tmp_path, {"producer.id.expiration.ms": 1_000}) as broker:
        log = (await broker.cluster.create_topic("logs", 1, {})) and broker.partition("logs", 0)
        now_ms = broker.clock.now_ms()
        for producer_id, age_ms, transactional in [(1, 500_000, False), (2, 500_000, True), (3, -500_000, False)]:
            stamp = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": 0}
            batch = batch_of(b"x", timestamp_ms=now_ms - age_ms, transactional=transactional, **stamp)
            log.append([batch], now_ms=now_ms)

        await forget_producers(broker)

        assert sorted(producer.producer_id for producer in log.active_producers()) == [2, 3]
        log.append([batch_of(b"y", producer_id=1, producer_epoch=0, base_sequence=7)], now_ms=now_ms)


async def test_silent_producers_are_looked_for_as_often_as_the_setting_says(tmp_path: Path) -> None:
    settings = {"producer.id.expiration.ms": 1, "producer.id.expiration.check.interval.ms": 1}
    async with running_broker(tmp_path, settings) as broker:
        await broker.cluster.create_topic("t", 1, {})
        log = broker.partition("t", 0)
        log.append([batch_of(b"x", producer_id=1, producer_epoch=0, base_sequence=0)], now_ms=0)

        await until(lambda: not log.active_producers())


async def test_a_segment_of_records_without_times_is_followed_once_it_is_seen_for_segment_ms(tmp_path: Path) -> None:
    """As in Kafka 4.3.1, which was asked with the same records."""
    clock, hour_ms = FixedClock(), 3_600_000
    now_ms = clock.time_ms
    async with running_broker(tmp_path, clock=clock) as broker:
        await broker.cluster.create_topic("t", 1, {"segment.ms": str(hour_ms), "retention.ms": "-1"})
        log = broker.partition("t", 0)
        commits = GroupCommit(lambda _: None)
        bases = []
        for hours in (0, 1, 1.1, 2, 2.2):
            clock.time_ms = int(now_ms + hours * hour_ms)
            await delete_old_segments(broker, commits)
            log.append([batch_of(b"x", timestamp_ms=-1)], now_ms=clock.time_ms)
            await delete_old_segments(broker, commits)
            bases.append(list(log.segments.layout.bases))
        commits.close()

    assert bases == [[0], [0], [0, 2], [0, 2], [0, 2, 4]]
