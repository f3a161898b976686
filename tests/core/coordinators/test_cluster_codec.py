"""Bytes of the cluster metadata log, as Kafka's own tools read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.coordinators.cluster_codec import decode_record, encode_record
from millstream.core.errors import WireError
from millstream.core.wire.log_records import encode_metadata_record
from millstream.core.wire.message import Message
from millstream.core.wire.messages.data_config_record import ConfigRecord
from millstream.core.wire.messages.data_feature_level_record import FeatureLevelRecord
from millstream.core.wire.messages.data_partition_record import PartitionRecord
from millstream.core.wire.messages.data_producer_ids_record import ProducerIdsRecord
from millstream.core.wire.messages.data_remove_topic_record import RemoveTopicRecord
from millstream.core.wire.messages.data_topic_record import TopicRecord

ids = st.binary(min_size=16, max_size=16)
numbers = st.integers(0, 2**31 - 1)
texts = st.text(max_size=30)
records = st.one_of(
    st.builds(TopicRecord, name=texts, topic_id=ids),
    st.builds(
        PartitionRecord,
        partition_id=numbers,
        topic_id=ids,
        replicas=st.lists(numbers),
        isr=st.lists(numbers),
        leader=numbers,
        leader_epoch=numbers,
        partition_epoch=numbers,
    ),
    st.builds(RemoveTopicRecord, topic_id=ids),
    st.builds(ConfigRecord, resource_type=st.just(2), resource_name=texts, name=texts, value=texts | st.none()),
    st.builds(ProducerIdsRecord, broker_id=numbers, broker_epoch=numbers, next_producer_id=st.integers(0, 2**63 - 1)),
)


@given(records)
def test_what_is_written_is_read_again(record: Message) -> None:
    assert decode_record(encode_record(record)) == record


KAFKA_WROTE = {
    "010200037474477a251d769342ff8c198561ad84050900": TopicRecord(
        name="tt", topic_id=bytes.fromhex("477a251d769342ff8c198561ad840509")
    ),
    "01040002046366320f636c65616e75702e706f6c6963790f636f6d706163742c64656c65746500": ConfigRecord(
        resource_type=2, resource_name="cf2", name="cleanup.policy", value="compact,delete"
    ),
}


@pytest.mark.parametrize("value", KAFKA_WROTE)
def test_records_have_the_bytes_that_kafka_writes(value: str) -> None:
    assert decode_record(bytes.fromhex(value)) == KAFKA_WROTE[value]
    assert encode_record(KAFKA_WROTE[value]).hex() == value


def test_a_partition_record_of_kafkas_newest_version_is_read() -> None:
    value = (
        "010302000000018c61f22295cc4085837853fa26e670bc0200000001020000000101010000000100000000000000000"
        "2ae1f9b309902279d1f33be96fe13629800"
    )

    record = decode_record(bytes.fromhex(value))

    assert isinstance(record, PartitionRecord)
    assert (record.partition_id, record.replicas, record.leader) == (1, [1], 1)
    assert record.topic_id.hex() == "8c61f22295cc4085837853fa26e670bc"


def test_records_of_other_kinds_are_passed_over() -> None:
    assert (
        decode_record(encode_metadata_record(FeatureLevelRecord(name="metadata.version", feature_level=30), 0)) is None
    )


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x02\x02\x00", b"\x01\x02\x00\x05a", b"\x01\x02\x09"])
def test_other_bytes_are_an_error(value: bytes) -> None:
    with pytest.raises(WireError):
        decode_record(value)
