"""Bytes of the records of __transaction_state: the same as Kafka writes and reads. Pure.

Values are written in version 1, which Kafka writes since 4.0, and read in 0 too.
Source: TransactionLog of Kafka 4.3.1. Tested in tests/core/coordinators/test_transaction_codec.py.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from ..errors import WireError
from ..wire.log_records import decode_key, decode_versioned, encode_key, encode_versioned, record_type
from ..wire.messages.data_transaction_log_key import TransactionLogKey
from ..wire.messages.data_transaction_log_value import TransactionLogValue
from .transaction_records import Partition, TransactionRecord, TransactionRemoved, TransactionState, TransactionStored

VALUE_VERSION = 1


def encode_record(record: TransactionRecord) -> tuple[bytes, bytes | None]:
    """Key and value as they stand in the log; no value is a tombstone."""
    key = encode_key(TransactionLogKey(transactional_id=record.transactional_id))
    if isinstance(record, TransactionRemoved):
        return key, None
    value = TransactionLogValue(
        producer_id=record.producer_id,
        previous_producer_id=record.previous_producer_id,
        next_producer_id=record.next_producer_id,
        producer_epoch=record.producer_epoch,
        next_producer_epoch=record.next_producer_epoch,
        transaction_timeout_ms=record.timeout_ms,
        transaction_status=int(record.state),
        transaction_partitions=None if record.state is TransactionState.EMPTY else list(_by_topic(record.partitions)),
        transaction_last_update_timestamp_ms=record.updated_ms,
        transaction_start_timestamp_ms=record.started_ms,
        client_transaction_version=record.client_version,
    )
    return key, encode_versioned(value, VALUE_VERSION)


def _by_topic(partitions: Iterable[Partition]) -> Iterator[TransactionLogValue.PartitionsSchema]:
    for topic, group in groupby(sorted(partitions), key=lambda partition: partition[0]):
        yield TransactionLogValue.PartitionsSchema(topic=topic, partition_ids=[number for _, number in group])


def decode_record(key: bytes, value: bytes | None) -> TransactionRecord | None:
    """The record that these bytes are; None if it is of a kind that is not known. Raises WireError for other bytes."""
    if record_type(key) != TransactionLogKey.API_KEY:
        return None
    transactional_id = decode_key(TransactionLogKey, key).transactional_id
    if value is None:
        return TransactionRemoved(transactional_id)
    stored, _ = decode_versioned(TransactionLogValue, value)
    try:
        state = TransactionState(stored.transaction_status)
    except ValueError as error:
        raise WireError(f"transactional id {transactional_id!r} has state {stored.transaction_status}") from error
    return TransactionStored(
        transactional_id=transactional_id,
        producer_id=stored.producer_id,
        producer_epoch=stored.producer_epoch,
        timeout_ms=stored.transaction_timeout_ms,
        state=state,
        updated_ms=stored.transaction_last_update_timestamp_ms,
        started_ms=stored.transaction_start_timestamp_ms,
        partitions=frozenset(
            (topic.topic, number) for topic in stored.transaction_partitions or () for number in topic.partition_ids
        ),
        previous_producer_id=stored.previous_producer_id,
        next_producer_id=stored.next_producer_id,
        next_producer_epoch=stored.next_producer_epoch,
        client_version=stored.client_transaction_version,
    )
