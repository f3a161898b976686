"""Topic and config APIs where versions and settings of ours differ; the rest is held against Kafka in tests/interop."""

import asyncio

from core.broker.running import ask, fetch, partitions_of, produce, produced, running_broker
from core.broker.running import batch_of as batch

from millstream.core.errors import ErrorCode
from millstream.core.wire.messages.k19_create_topics import CreateTopicsRequest
from millstream.core.wire.messages.k20_delete_topics import DeleteTopicsRequest
from millstream.core.wire.messages.k21_delete_records import DeleteRecordsRequest
from millstream.core.wire.messages.k27_write_txn_markers import WriteTxnMarkersRequest
from millstream.core.wire.messages.k32_describe_configs import DescribeConfigsRequest
from millstream.core.wire.messages.k37_create_partitions import CreatePartitionsRequest
from millstream.core.wire.messages.k44_incremental_alter_configs import IncrementalAlterConfigsRequest


def creation(name: str, partitions: int = 1) -> CreateTopicsRequest:
    topic = CreateTopicsRequest.CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)
    return CreateTopicsRequest(topics=[topic])


async def test_every_version_creates_and_deletes_topics(tmp_path):
    async with running_broker(tmp_path) as broker:
        for version in range(2, 8):
            created = await ask(broker, creation(f"t{version}"), version)
            assert [one.error_code for one in created.topics] == [0]
            created.encode(version)
        for version in range(1, 6):
            deleted = await ask(broker, DeleteTopicsRequest(topic_names=[f"t{version + 1}"]), version)
            assert [one.error_code for one in deleted.responses] == [0]
            deleted.encode(version)
        by_id = DeleteTopicsRequest.DeleteTopicState(topic_id=broker.cluster.topic("t7").topic_id)
        deleted = await ask(broker, DeleteTopicsRequest(topics=[by_id]), 6)

        assert [(one.name, one.error_code) for one in deleted.responses] == [("t7", 0)]
        assert [topic.name for topic in broker.cluster.topics()] == ["__consumer_offsets"]


async def test_topics_stay_where_deleting_is_turned_off(tmp_path):
    async with running_broker(tmp_path, {"delete.topic.enable": "false"}) as broker:
        await ask(broker, creation("kept"), 7)
        request = DeleteTopicsRequest(topic_names=["kept"])
        codes = [(await ask(broker, request, version)).responses[0].error_code for version in (2, 5)]

        assert codes == [ErrorCode.INVALID_REQUEST, ErrorCode.TOPIC_DELETION_DISABLED]
        assert broker.cluster.topic("kept") is not None


async def test_the_coordinators_topics_are_neither_deleted_nor_grown(tmp_path):
    async with running_broker(tmp_path) as broker:
        deleted = await ask(broker, DeleteTopicsRequest(topic_names=["__consumer_offsets"]), 5)
        more = CreatePartitionsRequest.CreatePartitionsTopic(name="__consumer_offsets", count=99, assignments=None)
        grown = await ask(broker, CreatePartitionsRequest(topics=[more]), 3)

        assert deleted.responses[0].error_code == ErrorCode.INVALID_REQUEST
        assert grown.results[0].error_code == ErrorCode.INVALID_REQUEST
        assert broker.cluster.topic("__consumer_offsets").partitions == 1


async def test_the_metadata_log_is_no_topic_to_clients(tmp_path):
    """They could write topics and settings into it, or cut them off, and the next start would believe it."""
    name = "__cluster_metadata"
    everything = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=-1)
    cut_off = DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[everything])
    place = WriteTxnMarkersRequest.WritableTxnMarkerTopic(name=name, partition_indexes=[0])
    marker = WriteTxnMarkersRequest.WritableTxnMarker(producer_id=1, transaction_result=True, topics=[place])
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    async with running_broker(tmp_path) as broker:
        await ask(broker, creation("kept"), 7)
        end_offset = broker.logs.get((name, 0)).end_offset

        written = await ask(broker, produce(name, batch(b"not a record of the metadata"), acks=-1), 9)
        deleted = await ask(broker, DeleteRecordsRequest(topics=[cut_off]), 2)
        marked = await ask(broker, WriteTxnMarkersRequest(markers=[marker]), 1)
        (read,) = partitions_of(await ask(broker, fetch(name, 0), 12))

        assert produced(written) == [(unknown, -1)]
        assert deleted.topics[0].partitions[0].error_code == unknown
        assert marked.markers[0].topics[0].partitions[0].error_code == unknown
        assert (read.error_code, read.records or b"") == (unknown, b"")
        log = broker.logs.get((name, 0))
        assert (log.log_start_offset, log.end_offset) == (0, end_offset)
    async with running_broker(tmp_path) as broker:
        assert [topic.name for topic in broker.cluster.topics()] == ["__consumer_offsets", "kept"]


async def test_a_topic_made_again_is_empty_and_has_a_new_id(tmp_path):
    async with running_broker(tmp_path) as broker:
        first = (await ask(broker, creation("orders"), 7)).topics[0].topic_id
        await ask(broker, produce("orders", batch(b"x"), acks=-1), 9)
        await ask(broker, DeleteTopicsRequest(topic_names=["orders"]), 5)
        gone = produced(await ask(broker, produce("orders", batch(b"x")), 9))
        second = (await ask(broker, creation("orders"), 7)).topics[0].topic_id

        assert gone == [(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)]
        assert first != second
        assert broker.partition("orders", 0).end_offset == 0


async def test_a_fetch_that_waits_in_a_deleted_topic_is_told_so(tmp_path):
    async with running_broker(tmp_path) as broker:
        await ask(broker, creation("orders"), 7)
        waiting = asyncio.ensure_future(ask(broker, fetch("orders", 0, max_wait_ms=60_000), 11))
        await asyncio.sleep(0)
        await ask(broker, DeleteTopicsRequest(topic_names=["orders"]), 5)

        async with asyncio.timeout(60):
            answer = (await waiting).responses[0].partitions[0]
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def test_deleted_records_stay_deleted_after_a_restart(tmp_path):
    partition = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=2)
    topics = [DeleteRecordsRequest.DeleteRecordsTopic(name="orders", partitions=[partition])]
    async with running_broker(tmp_path) as broker:
        await ask(broker, creation("orders"), 7)
        await ask(broker, produce("orders", batch(b"a", b"b", b"c"), acks=-1), 9)
        answer = await ask(broker, DeleteRecordsRequest(topics=topics), 2)
    async with running_broker(tmp_path) as broker:
        assert answer.topics[0].partitions[0].low_watermark == 2
        assert broker.partition("orders", 0).log_start_offset == 2


async def test_records_that_were_acknowledged_can_be_deleted_though_they_were_not_on_disk_yet(tmp_path):
    async with running_broker(tmp_path) as broker:
        await ask(broker, creation("orders"), 7)
        watermarks = []
        for end in range(1, 20):
            await ask(broker, produce("orders", batch(b"v"), acks=1), 9)
            partition = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=end)
            topics = [DeleteRecordsRequest.DeleteRecordsTopic(name="orders", partitions=[partition])]
            answer = await ask(broker, DeleteRecordsRequest(topics=topics), 2)
            watermarks.append((answer.topics[0].partitions[0].error_code, answer.topics[0].partitions[0].low_watermark))

    assert watermarks == [(0, end) for end in range(1, 20)]


async def test_settings_come_with_types_and_words_from_version_3_on(tmp_path):
    resource = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=4, resource_name="1", configuration_keys=["num.partitions"]
    )
    request = DescribeConfigsRequest(resources=[resource], include_documentation=True)
    async with running_broker(tmp_path, {"num.partitions": 5}) as broker:
        older = (await ask(broker, request, 2)).results[0].configs[0]
        newer = (await ask(broker, request, 4)).results[0].configs[0]

    assert (newer.value, newer.read_only, newer.config_source, newer.config_type) == ("5", True, 4, 3)
    assert newer.documentation
    assert older.config_type == 0


async def test_what_is_wrong_with_very_long_settings_fits_into_the_answer(tmp_path):
    """The connection was closed: a text of the protocol has 32,767 bytes at most."""
    value = "\N{SNOWMAN}" * 10_000
    request = creation("t")
    request.topics[0].configs = [CreateTopicsRequest.CreatableTopicConfig(name="retention.ms", value=value)]
    config = IncrementalAlterConfigsRequest.AlterableConfig
    for_topic = IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=2, resource_name="kept", configs=[config(name="retention.ms", value=value)]
    )
    for_broker = IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=4, resource_name="", configs=[config(name=f"c{number}", value="1") for number in range(9_000)]
    )
    async with running_broker(tmp_path) as broker:
        await ask(broker, creation("kept"), 7)
        created = await ask(broker, request, 7)
        altered = await ask(broker, IncrementalAlterConfigsRequest(resources=[for_topic, for_broker]), 1)

    assert created.encode(7)
    assert altered.encode(1)
    assert [one.error_code for one in created.topics] == [ErrorCode.INVALID_CONFIG]
    assert [one.error_code for one in altered.responses] == [ErrorCode.INVALID_CONFIG, ErrorCode.POLICY_VIOLATION]
    assert altered.responses[0].error_message.startswith("topic: retention.ms=")
