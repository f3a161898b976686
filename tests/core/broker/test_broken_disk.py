"""A disk that gives input/output errors: what is on it answers KAFKA_STORAGE_ERROR, what is not is served, and after a
restart on a sound disk all that was acknowledged is there."""

import json
from pathlib import Path

import pytest
from core.broker.broken_disk import BrokenDisk
from core.broker.running import ask, batch_of, fetch, partitions_of, produce, produced, running_broker, values_of
from core.broker.test_monitoring import watched

from millstream.core.broker.broker import Broker
from millstream.core.coordinators.cluster_commands import MorePartitions
from millstream.core.errors import ErrorCode, StorageError
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k08_offset_commit import OffsetCommitRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest
from millstream.core.wire.messages.k22_init_producer_id import InitProducerIdRequest
from millstream.core.wire.messages.k23_offset_for_leader_epoch import OffsetForLeaderEpochRequest
from millstream.core.wire.messages.k35_describe_log_dirs import DescribeLogDirsRequest
from millstream.core.wire.messages.k61_describe_producers import DescribeProducersRequest
from millstream.core.wire.messages.k75_describe_topic_partitions import DescribeTopicPartitionsRequest

OFFLINE = int(ErrorCode.KAFKA_STORAGE_ERROR)
BEFORE = {"epoch", "delete", "producers", "look up"}
"""Asked before the disk is written to."""
ALL = frozenset({"open", "write", "read", "sync", "rename", "sync_directory"})


async def codes(broker: Broker, topic: str) -> dict[str, int]:
    """What clients of one topic are told."""
    newest = ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=0)
    topics = [ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=[newest])]
    looked_up = await ask(broker, ListOffsetsRequest(replica_id=-1, topics=topics), 7)
    which = [OffsetForLeaderEpochRequest.OffsetForLeaderPartition(partition=0, leader_epoch=0)]
    epochs = OffsetForLeaderEpochRequest(
        topics=[OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=topic, partitions=which)]
    )
    gone = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=0)
    deletion = DeleteRecordsRequest(topics=[DeleteRecordsRequest.DeleteRecordsTopic(name=topic, partitions=[gone])])
    producers = DescribeProducersRequest(
        topics=[DescribeProducersRequest.TopicRequest(name=topic, partition_indexes=[0])]
    )
    return {
        "epoch": (await ask(broker, epochs, 4)).topics[0].partitions[0].error_code,
        "delete": (await ask(broker, deletion, 2)).topics[0].partitions[0].error_code,
        "producers": (await ask(broker, producers, 0)).topics[0].partitions[0].error_code,
        "produce": produced(await ask(broker, produce(topic, batch_of(b"b"), acks=-1), 9))[0][0],
        "produce, acks=1": produced(await ask(broker, produce(topic, batch_of(b"c"), acks=1), 9))[0][0],
        "fetch": partitions_of(await ask(broker, fetch(topic, 0), 12))[0].error_code,
        "look up": looked_up.topics[0].partitions[0].error_code,
    }


async def filled(broker: Broker) -> None:
    for topic in ("t", "other"):
        await broker.cluster.create_topic(topic, 1, {})
        assert produced(await ask(broker, produce(topic, batch_of(b"a"), acks=-1), 9)) == [(0, 0)]


@pytest.mark.parametrize("call", ["write", "sync"])
async def test_a_log_whose_disk_fails_is_offline_for_good_and_the_others_are_served(
    tmp_path: Path, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    disk = BrokenDisk("t-0")
    with pytest.raises(StorageError, match="t-0: offline since its disk failed"):  # noqa: PT012
        async with running_broker(tmp_path, disk=disk) as broker:
            await filled(broker)
            disk.calls = frozenset({call})
            broken = await codes(broker, "t")
            disk.calls = frozenset()
            still, others = await codes(broker, "t"), await codes(broker, "other")
    async with running_broker(tmp_path) as broker:
        (partition,) = partitions_of(await ask(broker, fetch("t", 0), 12))
        again = await codes(broker, "t")

    assert set(still.values()) == {OFFLINE}
    assert {name: code for name, code in broken.items() if name not in BEFORE} == {
        name: code for name, code in still.items() if name not in BEFORE
    }
    assert set(others.values()) == set(again.values()) == {0}
    assert values_of(partition)[0] == b"a"
    assert f"{tmp_path}/t-0: offline since its disk failed: [Errno 5] Input/output error" in caplog.text
    assert "restart once it is sound" in caplog.text


async def test_nobody_leads_a_partition_whose_log_is_offline(tmp_path: Path) -> None:
    """As of Kafka 4.3.1 with two directories of which one had failed, but for the leader epoch."""
    disk = BrokenDisk("t-0")
    name = [MetadataRequest.MetadataRequestTopic(name="t")]
    described = DescribeTopicPartitionsRequest(topics=[DescribeTopicPartitionsRequest.TopicRequest(name="t")])
    with pytest.raises(StorageError, match="t-0: offline since its disk failed"):  # noqa: PT012
        async with running_broker(tmp_path, disk=disk) as broker:
            await filled(broker)
            await broker.cluster.create_partitions([MorePartitions("t", 2, None)])
            disk.calls = frozenset({"sync"})
            await codes(broker, "t")
            disk.calls = frozenset()
            (led,) = (await ask(broker, MetadataRequest(topics=name), 12)).topics
            (all_led,) = [
                one for one in (await ask(broker, MetadataRequest(topics=None), 12)).topics if one.name == "t"
            ]
            (topic,) = (await ask(broker, described, 0)).topics
            (directory,) = (await ask(broker, DescribeLogDirsRequest(topics=None), 5)).results

    assert led == all_led
    offline, online = led.partitions
    assert (led.error_code, online.error_code, offline.error_code) == (0, 0, ErrorCode.LEADER_NOT_AVAILABLE)
    assert (online.leader_id, online.isr_nodes, online.offline_replicas) == (1, [1], [])
    assert (offline.leader_id, offline.replica_nodes, offline.isr_nodes, offline.offline_replicas) == (-1, [1], [], [1])
    offline, online = topic.partitions
    assert (online.error_code, online.leader_id, online.isr_nodes, online.offline_replicas) == (0, 1, [1], [])
    assert (offline.error_code, offline.leader_id, offline.isr_nodes, offline.offline_replicas) == (0, -1, [], [1])
    assert (offline.eligible_leader_replicas, offline.last_known_elr) == ([1], [1])
    there = {(one.name, part.partition_index) for one in directory.topics for part in one.partitions}
    assert directory.error_code == 0
    assert {("other", 0), ("t", 1)} <= there
    assert ("t", 0) not in there


async def test_a_directory_that_has_failed_is_described_as_failed(tmp_path: Path) -> None:
    disk = BrokenDisk("__cluster_metadata-0")
    with pytest.raises(StorageError, match="__cluster_metadata-0: offline"):  # noqa: PT012
        async with running_broker(tmp_path, disk=disk) as broker:
            await filled(broker)
            disk.calls = frozenset({"sync"})
            with pytest.raises(StorageError, match="offline"):
                await broker.cluster.create_topic("new", 1, {})
            (directory,) = (await ask(broker, DescribeLogDirsRequest(topics=None), 5)).results

    assert (directory.error_code, directory.log_dir, directory.topics) == (OFFLINE, str(tmp_path), [])
    assert (directory.total_bytes, directory.usable_bytes) == (-1, -1)


async def test_a_read_that_fails_is_told_and_ends_nothing(tmp_path: Path) -> None:
    disk = BrokenDisk("t-0")
    async with running_broker(tmp_path, disk=disk) as broker:
        await filled(broker)
        disk.calls = frozenset({"read"})
        (broken,) = partitions_of(await ask(broker, fetch("t", 0), 12))
        taken = produced(await ask(broker, produce("t", batch_of(b"b"), acks=-1), 9))
        disk.calls = frozenset()
        (whole,) = partitions_of(await ask(broker, fetch("t", 0), 12))

    assert (broken.error_code, taken) == (OFFLINE, [(0, 1)])
    assert values_of(whole) == [b"a", b"b"]


async def test_on_a_disk_that_is_gone_every_change_is_refused_and_health_says_so(tmp_path: Path) -> None:
    """Until the process ends, which is for whoever holds the broker: test_failed_disk.py."""
    disk = BrokenDisk(tmp_path.name)
    topic = CreateTopicsRequest.CreatableTopic(name="new", num_partitions=1, replication_factor=1)
    partition = OffsetCommitRequest.OffsetCommitRequestPartition(partition_index=0, committed_offset=1)
    topics = [OffsetCommitRequest.OffsetCommitRequestTopic(name="t", partitions=[partition])]
    commit = OffsetCommitRequest(group_id="g", generation_id_or_member_epoch=-1, topics=topics)
    with pytest.raises(StorageError):  # noqa: PT012
        async with watched(tmp_path, disk) as one:
            broker = one.broker
            await filled(broker)
            disk.calls = ALL
            await codes(broker, "t")
            refused = await codes(broker, "t")
            created = await ask(broker, CreateTopicsRequest(topics=[topic], timeout_ms=5_000), 5)
            committed = await ask(broker, commit, 8)
            begun = await ask(broker, InitProducerIdRequest(transactional_id="x", transaction_timeout_ms=1000), 4)
            status, page = await one.page("/health")
            disk.calls = frozenset()
    async with running_broker(tmp_path) as broker:
        (whole,) = partitions_of(await ask(broker, fetch("t", 0), 12))
        names = {one.name for one in broker.cluster.topics()}

    assert set(refused.values()) == {OFFLINE}
    assert (created.topics[0].error_code, "offline since its disk" in created.topics[0].error_message) == (
        OFFLINE,
        True,
    )
    told = {ErrorCode(committed.topics[0].partitions[0].error_code).name, ErrorCode(begun.error_code).name}
    assert told <= {"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "KAFKA_STORAGE_ERROR"}
    offline = {entry["topic"] for entry in json.loads(page)["checks"]["logs"]["offline"]}
    assert (status, {"t", "__cluster_metadata"} <= offline) == (503, True)
    assert values_of(whole)[0] == b"a"
    assert "new" not in names or names >= {"t", "other", "new"}
