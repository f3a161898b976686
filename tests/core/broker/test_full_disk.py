"""A full disk: refused with the right error, read from all the while, and gone on with by itself when there is room."""

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from core.broker.failing_disk import FailingDisk
from core.broker.running import (
    ask,
    batch_of,
    fetch,
    partitions_of,
    produce,
    produced,
    running_broker,
    until,
    values_of,
)
from core.broker.wire_client import WireClient
from services.java import ServiceUnavailable
from services.millstream import MillstreamBroker
from services.small_disk import SmallDisk, small_disk

from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k00_produce import ProduceResponse
from millstream.core.wire.messages.k01_fetch import FetchResponse
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest, CreateTopicsResponse
from millstream.core.wire.messages.k20_delete_topics import DeleteTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest
from millstream.core.wire.messages.k37_create_partitions import CreatePartitionsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest

FULL = int(ErrorCode.KAFKA_STORAGE_ERROR)
LEADERLESS = int(ErrorCode.LEADER_NOT_AVAILABLE)


def create(name: str) -> CreateTopicsRequest:
    topic = CreateTopicsRequest.CreatableTopic(name=name, num_partitions=2, replication_factor=1)
    return CreateTopicsRequest(topics=[topic], timeout_ms=5_000)


async def test_what_a_full_disk_kept_from_the_files_beside_a_log_is_written_when_there_is_room(tmp_path: Path) -> None:
    disk = FailingDisk("t-0")
    disk.directory = "/t-0/leader-epoch-checkpoint"
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.full = True
        waiting = asyncio.ensure_future(ask(broker, produce("t", batch_of(b"a"), acks=-1, timeout_ms=60_000), 9))
        await until(lambda: disk.refused_count == 1)
        disk.full = False

        assert produced(await asyncio.wait_for(waiting, 60)) == [(0, 0)]


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
async def test_a_log_that_cannot_be_written_is_read_and_goes_on_by_itself(tmp_path: Path, refusal: int) -> None:
    disk = FailingDisk("t-0")
    disk.refusal = refusal
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        first = produced(await ask(broker, produce("t", batch_of(b"a"), acks=-1), 9))
        disk.full = True
        refused = produced(await ask(broker, produce("t", batch_of(b"b"), acks=-1), 9))
        (partition,) = partitions_of(await ask(broker, fetch("t", 0), 12))
        disk.full = False
        taken = produced(await ask(broker, produce("t", batch_of(b"c"), acks=-1), 9))
        (whole,) = partitions_of(await ask(broker, fetch("t", 0), 12))

    assert (first, refused, taken) == ([(0, 0)], [(FULL, -1)], [(0, 1)])
    assert (values_of(partition), values_of(whole)) == ([b"a"], [b"a", b"c"])


async def test_a_full_disk_refuses_each_change_of_the_metadata_by_its_name(tmp_path: Path) -> None:
    disk = FailingDisk("__cluster_metadata-0")
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.full = True
        created = await ask(broker, create("u"), 5)
        deleted = await ask(broker, DeleteTopicsRequest(topic_names=["t"]), 5)
        more = CreatePartitionsRequest(
            topics=[CreatePartitionsRequest.CreatePartitionsTopic(name="t", count=2, assignments=None)]
        )
        grown = await ask(broker, more, 3)
        resource = IncrementalAlterConfigsRequest.AlterConfigsResource
        config = IncrementalAlterConfigsRequest.AlterableConfig(name="retention.ms", value="1")
        alter = IncrementalAlterConfigsRequest(
            resources=[resource(resource_type=2, resource_name="t", configs=[config])]
        )
        altered = await ask(broker, alter, 1)
        disk.full = False

        assert [one.error_code for one in created.topics] == [FULL]
        assert [one.error_code for one in deleted.responses] == [FULL]
        assert [one.error_code for one in grown.results] == [FULL]
        assert [one.error_code for one in altered.responses] == [FULL]
        assert "the disk is full" in altered.responses[0].error_message
        assert [topic.name for topic in broker.cluster.topics() if not topic.internal] == ["t"]
        assert [one.error_code for one in (await ask(broker, create("u"), 5)).topics] == [0]


async def test_a_topic_that_a_full_disk_keeps_from_being_made_spoils_no_other_in_the_metadata(tmp_path: Path) -> None:
    disk = FailingDisk("__cluster_metadata-0")
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.full = True
        wanted = [MetadataRequest.MetadataRequestTopic(name=name) for name in ("t", "new")]
        answer = await ask(broker, MetadataRequest(topics=wanted), 9)
        disk.full = False

    assert [(topic.name, topic.error_code) for topic in answer.topics] == [("t", 0), ("new", FULL)]
    assert len(answer.brokers) == 1


async def test_records_whose_deletion_cannot_be_written_down_are_not_said_to_be_deleted(tmp_path: Path) -> None:
    disk = FailingDisk(tmp_path.name)
    partition = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=1)
    missing = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=7, offset=1)
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsRequest.DeleteRecordsTopic(name="t", partitions=[partition, missing])]
    )
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await ask(broker, produce("t", batch_of(b"a"), acks=-1), 9)
        disk.full = True
        refused = await ask(broker, request, 2)
        disk.full = False
        done = await ask(broker, request, 2)

    unknown = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert [(one.error_code, one.low_watermark) for one in refused.topics[0].partitions] == [(FULL, -1), (unknown, -1)]
    assert [(one.error_code, one.low_watermark) for one in done.topics[0].partitions] == [(0, 1), (unknown, -1)]


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EMFILE])
async def test_a_topic_whose_logs_cannot_be_made_yet_is_there_as_its_client_is_told(
    tmp_path: Path, refusal: int
) -> None:
    """The client was told of an error, and the topic was there all the same, also after a restart."""
    disk = FailingDisk("u-1")
    disk.refusal = refusal
    async with running_broker(tmp_path, disk=disk) as broker:
        disk.full = True
        created = await ask(broker, create("u"), 5)
        again = await ask(broker, create("u"), 5)
        wanted = MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="u")])
        (known,) = (await ask(broker, wanted, 9)).topics
        refused = produced(await ask(broker, produce("u", batch_of(b"a"), batch_of(b"b"), acks=-1), 9))
        read = partitions_of(await ask(broker, fetch("u", 0, 0, 0, max_wait_ms=60_000), 12))
        disk.full = False
        await until(lambda: broker.logs.get(("u", 1)) is not None)
        taken = produced(await ask(broker, produce("u", None, batch_of(b"b"), acks=-1), 9))
        (again_led,) = (await ask(broker, wanted, 9)).topics

    unknown = int(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert [one.error_code for one in (*created.topics, *again.topics)] == [0, ErrorCode.TOPIC_ALREADY_EXISTS]
    assert [(one.error_code, one.leader_id) for one in known.partitions] == [(0, 1), (LEADERLESS, -1)]
    assert [(one.error_code, one.leader_id) for one in again_led.partitions] == [(0, 1), (0, 1)]
    assert refused == [(0, 0), (FULL, -1)], "clients try that again"
    assert [(one.partition_index, one.error_code) for one in read] == [(0, 0), (1, FULL), (2, unknown)]
    assert taken[-1] == (0, 0)


async def test_new_partitions_and_settings_hold_though_a_log_cannot_be_made_yet(tmp_path: Path) -> None:
    disk = FailingDisk("t-1")
    config = IncrementalAlterConfigsRequest.AlterableConfig(name="retention.ms", value="7")
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource(resource_type=2, resource_name="t", configs=[config])
    more = CreatePartitionsRequest.CreatePartitionsTopic(name="t", count=2, assignments=None)
    absent = CreatePartitionsRequest.CreatePartitionsTopic(name="no-such-topic", count=2, assignments=None)
    async with running_broker(tmp_path, disk=disk) as broker:
        await broker.cluster.create_topic("t", 1, {})
        disk.full = True
        grown = await ask(broker, CreatePartitionsRequest(topics=[more, absent]), 3)
        altered = await ask(broker, IncrementalAlterConfigsRequest(resources=[resource]), 1)
        retention_ms = broker.partition("t", 0).config.retention_ms
        disk.full = False

    assert [one.error_code for one in grown.results] == [0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert [one.error_code for one in altered.responses] == [0]
    assert retention_ms == 7


async def test_a_broker_starts_on_a_full_disk_and_serves_what_is_there(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        await ask(broker, produce("t", batch_of(b"a"), acks=-1), 9)
    disk = FailingDisk(tmp_path.name)
    disk.full = True
    async with running_broker(tmp_path, disk=disk) as broker:
        (partition,) = partitions_of(await ask(broker, fetch("t", 0), 12))
        refused = produced(await ask(broker, produce("t", batch_of(b"b"), acks=-1), 9))
        disk.full = False
        taken = produced(await ask(broker, produce("t", batch_of(b"b"), acks=-1), 9))

    assert values_of(partition) == [b"a"]
    assert (refused, taken) == ([(FULL, -1)], [(0, 1)])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    try:
        with small_disk(tmp_path / "disk", 12) as found:
            yield found
    except ServiceUnavailable as error:
        pytest.skip(str(error))


class Producer:
    """Numbered records, and where those are that were acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, bytes] = {}
        self._next = 0

    async def send(self, client: WireClient, most: int) -> int:
        """Up to `most` batches; the first error code."""
        for _ in range(most):
            self._next += 1
            value = b"%08d" % self._next + bytes(2_000)
            answer = await client.ask(produce("t", batch_of(value), acks=-1, timeout_ms=60_000), 9)
            assert isinstance(answer, ProduceResponse)
            ((code, offset),) = produced(answer)
            if code:
                return code
            self.acknowledged[offset] = value
        return 0

    async def check(self, client: WireClient) -> None:
        """All that was acknowledged is there."""
        found: dict[int, bytes | None] = {}
        while True:
            answer = await client.ask(fetch("t", len(found)), 12)
            assert isinstance(answer, FetchResponse)
            (partition,) = partitions_of(answer)
            values = values_of(partition)
            if not values:
                break
            found |= {len(found) + index: value for index, value in enumerate(values)}
        assert self.acknowledged.items() <= found.items()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_on_a_disk_that_is_full_again_and_again_with_kills_between(
    disk: SmallDisk,
) -> None:
    server = MillstreamBroker(disk.path / "broker", options=["--set", "log.segment.bytes=1048576"])
    host, _, port = server.start().rpartition(":")
    address = host, int(port)
    producer = Producer()

    async def first() -> None:
        async with WireClient(address) as client:
            answer = await client.ask(create("t"), 5)
            assert isinstance(answer, CreateTopicsResponse)
            assert await producer.send(client, 100) == 0

    async def full_and_again() -> None:
        async with WireClient(address) as client:
            disk.fill(leave_blocks=20)
            assert await producer.send(client, 1_000) == FULL
            await producer.check(client)
            disk.make_room()
            assert await producer.send(client, 50) == 0
            disk.fill()
            assert await producer.send(client, 1_000) == FULL

    async def still_there() -> None:
        async with WireClient(address) as client:
            await producer.check(client)
            assert await producer.send(client, 1_000) == FULL
            disk.make_room()
            assert await producer.send(client, 50) == 0
            await producer.check(client)

    try:
        asyncio.run(first())
        for _ in range(3):
            asyncio.run(full_and_again())
            server.kill()
            server.start()
            asyncio.run(still_there())
    finally:
        server.stop()
    assert len(producer.acknowledged) > 400
