"""Requests that no careful client sends: empty names, repeats, numbers that mean nothing. What is expected is what a
Kafka 4.3.1 answered to the same."""

from pathlib import Path

import pytest
from core.broker.running import ask, running_broker

from millstream.core.broker.broker import Broker
from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k02_list_offsets import ListOffsetsRequest
from millstream.core.wire.messages.k03_metadata import MetadataRequest
from millstream.core.wire.messages.k20_delete_topics import DeleteTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest
from millstream.core.wire.messages.k33_alter_configs import AlterConfigsRequest
from millstream.core.wire.messages.k43_elect_leaders import ElectLeadersRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest
from millstream.core.wire.messages.k47_offset_delete import OffsetDeleteRequest
from millstream.core.wire.messages.k60_describe_cluster import DescribeClusterRequest
from millstream.core.wire.messages.k75_describe_topic_partitions import DescribeTopicPartitionsRequest

UNKNOWN_ID = b"u" * 16
INVALID = int(ErrorCode.INVALID_REQUEST)
State = DeleteTopicsRequest.DeleteTopicState
Describe = DescribeTopicPartitionsRequest


@pytest.mark.parametrize(
    ("topics", "codes"),
    [
        ([State(name=None)], [INVALID]),
        ([State(name=None, topic_id=UNKNOWN_ID)], [ErrorCode.UNKNOWN_TOPIC_ID]),
        ([State(name=None, topic_id=UNKNOWN_ID)] * 2, [INVALID]),
        ([State(name="absent")], [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]),
        ([State(name="absent")] * 2, [INVALID]),
        ([State(name="t"), State(name="t")], [INVALID]),
    ],
)
async def test_a_topic_to_be_deleted_is_named_once_and_somehow(
    tmp_path: Path, topics: list[State], codes: list[int]
) -> None:
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        response = await ask(broker, DeleteTopicsRequest(topics=topics, timeout_ms=1_000), 6)
        assert broker.cluster.topic("t") is not None

    assert [one.error_code for one in response.responses] == codes


async def test_records_of_a_topic_that_keeps_all_of_them_may_be_deleted(tmp_path: Path) -> None:
    """Only where records are compacted, and not deleted, is that against the policy."""
    codes = {}
    async with running_broker(tmp_path) as broker:
        for policy in ("delete", "compact,delete", "", "compact"):
            name = f"t{len(codes)}"
            await broker.cluster.create_topic(name, 1, {"cleanup.policy": policy})
            partition = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=-1)
            topic = DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[partition])
            response = await ask(broker, DeleteRecordsRequest(topics=[topic]), 2)
            codes[policy] = response.topics[0].partitions[0].error_code

    assert codes == {"delete": 0, "compact,delete": 0, "": 0, "compact": ErrorCode.POLICY_VIOLATION}


async def test_offsets_of_a_partition_that_is_named_twice_are_not_told(tmp_path: Path) -> None:
    partition = ListOffsetsRequest.ListOffsetsPartition
    wanted = [partition(partition_index=index, timestamp=-1) for index in (0, 1, 0)]
    topic = ListOffsetsRequest.ListOffsetsTopic(name="t", partitions=wanted)
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 2, {})
        response = await ask(broker, ListOffsetsRequest(replica_id=-1, topics=[topic]), 7)

    (found,) = response.topics
    assert [(one.partition_index, one.error_code, one.offset) for one in found.partitions] == [
        (1, 0, 0),
        (0, INVALID, -1),
    ]


async def test_a_topic_that_is_named_twice_is_told_of_once(tmp_path: Path) -> None:
    wanted = [MetadataRequest.MetadataRequestTopic(name=name) for name in ("t", "absent", "t", "absent")]
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        response = await ask(broker, MetadataRequest(topics=wanted, allow_auto_topic_creation=False), 9)

    assert [topic.name for topic in response.topics] == ["t", "absent"]


async def test_there_are_no_settings_of_all_topics(tmp_path: Path) -> None:
    some = IncrementalAlterConfigsRequest.AlterConfigsResource(resource_type=2, resource_name="", configs=[])
    all_of_them = AlterConfigsRequest.AlterConfigsResource(resource_type=2, resource_name="", configs=[])
    async with running_broker(tmp_path) as broker:
        first = await ask(broker, IncrementalAlterConfigsRequest(resources=[some]), 1)
        second = await ask(broker, AlterConfigsRequest(resources=[all_of_them]), 2)

    assert [one.error_code for one in (*first.responses, *second.responses)] == [INVALID, INVALID]


async def test_an_election_of_an_unknown_kind_is_refused_as_a_whole(tmp_path: Path) -> None:
    partitions = ElectLeadersRequest.TopicPartitions(topic="t", partitions=[0])
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 1, {})
        response = await ask(broker, ElectLeadersRequest(election_type=2, topic_partitions=[partitions]), 2)

    (topic,) = response.replica_election_results
    assert (response.error_code, [one.error_code for one in topic.partition_result]) == (INVALID, [INVALID])


async def test_a_group_without_a_name_has_no_offsets_to_delete(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        assert (await ask(broker, OffsetDeleteRequest(group_id=""), 0)).error_code == ErrorCode.INVALID_GROUP_ID


async def test_endpoints_of_controllers_are_elsewhere_and_others_unknown(tmp_path: Path) -> None:
    async with running_broker(tmp_path) as broker:
        codes = [(await ask(broker, DescribeClusterRequest(endpoint_type=kind), 1)).error_code for kind in (1, 2, 3)]

    assert codes == [0, ErrorCode.MISMATCHED_ENDPOINT_TYPE, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE]


async def described(broker: Broker, request: Describe) -> tuple[list[tuple[str, int, int]], str | None]:
    """Name, code and number of partitions of each topic, and where the next page begins."""
    response = await ask(broker, request, 0)
    cursor = response.next_cursor
    topics = [(topic.name, topic.error_code, len(topic.partitions)) for topic in response.topics]
    return topics, None if cursor is None else f"{cursor.topic_name}-{cursor.partition_index}"


async def test_a_page_has_at_least_one_partition_and_a_wrong_cursor_is_told(tmp_path: Path) -> None:
    topics = [Describe.TopicRequest(name="t")]
    async with running_broker(tmp_path) as broker:
        await broker.cluster.create_topic("t", 2, {})
        for limit in (-1, 0, 1):
            found = await described(broker, Describe(topics=topics, response_partition_limit=limit))
            assert found == ([("t", 0, 1)], "t-1")
        for cursor in (Describe.Cursor(topic_name="t", partition_index=-1), Describe.Cursor(topic_name="zzz")):
            assert await described(broker, Describe(topics=topics, cursor=cursor)) == ([("t", INVALID, 0)], None)
        behind = Describe.Cursor(topic_name="zzz", partition_index=0)
        assert await described(broker, Describe(topics=[], cursor=behind)) == ([], None)
