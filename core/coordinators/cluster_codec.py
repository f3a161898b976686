"""Values of the cluster metadata log: as Kafka frames them. Pure.

Records of kinds that are not kept here (brokers, features, ACLs) are left alone, so that a log of Kafka's can be read.
Source: MetadataRecordSerde of Kafka 4.3.1. Tested in tests/core/coordinators/test_cluster_codec.py.
"""

from ..wire.log_records import decode_metadata_record, encode_metadata_record, metadata_record_type
from ..wire.message import Buffer, Message
from ..wire.messages.data_config_record import ConfigRecord
from ..wire.messages.data_partition_record import PartitionRecord
from ..wire.messages.data_producer_ids_record import ProducerIdsRecord
from ..wire.messages.data_remove_topic_record import RemoveTopicRecord
from ..wire.messages.data_topic_record import TopicRecord

KEPT: dict[int, type[Message]] = {
    kind.API_KEY: kind for kind in (TopicRecord, PartitionRecord, RemoveTopicRecord, ConfigRecord, ProducerIdsRecord)
}
VERSION = 0


def encode_record(record: Message) -> bytes:
    """The value under which a record stands in the log."""
    return encode_metadata_record(record, VERSION)


def decode_record(value: Buffer) -> Message | None:
    """The record that a value is, None if it is of a kind that is not kept. Raises WireError for other bytes."""
    kind, _, _ = metadata_record_type(value)
    cls = KEPT.get(kind)
    return None if cls is None else decode_metadata_record(cls, value)
