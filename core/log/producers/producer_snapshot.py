"""Producer state at one offset of a log: the .snapshot file. Pure.

Source: ProducerSnapshot.json of Kafka 4.3.1. Tested in tests/core/log/test_producer_state.py.
"""

import struct
from collections.abc import Iterable

from crc32c import crc32c

from .producer_state import NO_OFFSET, NO_SEQUENCE, BatchStamp, Producer

VERSION = 1
HEAD = struct.Struct(">hI")
COUNT = struct.Struct(">i")
ENTRY = struct.Struct(">qhiqiqiq")


def encode_snapshot(producers: Iterable[Producer]) -> bytes:
    """The whole file, by producer id; of each producer's batches only the last one is kept, as in Kafka."""
    entries = []
    for producer in sorted(producers, key=lambda one: one.producer_id):
        last = producer.batches[-1] if producer.batches else BatchStamp(NO_SEQUENCE, NO_OFFSET, 0, -1)
        entries.append(
            ENTRY.pack(
                producer.producer_id,
                producer.epoch,
                last.last_sequence,
                last.last_offset,
                last.offset_delta,
                producer.last_timestamp_ms,
                producer.coordinator_epoch,
                producer.transaction_start,
            )
        )
    body = COUNT.pack(len(entries)) + b"".join(entries)
    return HEAD.pack(VERSION, crc32c(body)) + body


def decode_snapshot(data: bytes) -> list[Producer]:
    """The producers. Raises ValueError when the file is not whole."""
    if len(data) < HEAD.size + COUNT.size:
        raise ValueError(f"{len(data)} bytes are too few for a producer snapshot")
    version, checksum = HEAD.unpack_from(data)
    body = data[HEAD.size :]
    if version != VERSION:
        raise ValueError(f"version {version} of a producer snapshot; must be {VERSION}")
    if checksum != crc32c(body):
        raise ValueError("the checksum of a producer snapshot does not fit its entries")
    (count,) = COUNT.unpack_from(body)
    if count * ENTRY.size != len(body) - COUNT.size:
        raise ValueError(f"a producer snapshot of {len(body)} bytes cannot hold {count} entries")
    return [_producer(fields) for fields in ENTRY.iter_unpack(body[COUNT.size :])]


def _producer(fields: tuple[int, ...]) -> Producer:
    producer_id, epoch, sequence, offset, delta, timestamp_ms, coordinator_epoch, transaction_start = fields
    batches = () if offset == NO_OFFSET else (BatchStamp(sequence, offset, delta, timestamp_ms),)
    return Producer(producer_id, epoch, batches, timestamp_ms, coordinator_epoch, transaction_start)
