"""What the files of a log directory say, as rows of plain values, for people and tools. Pure but for `read`.

As Kafka's own dump tool shows them; entries of an index are held against the batches that they point to.
Source: DumpLogSegments of Kafka 4.3.1. Tested in tests/core/log/test_file_dump.py and test_kafka_dump.py.
"""

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import CorruptRecords
from ..wire.batches import BatchHeader, SimpleRecord, iter_records, read_header
from .checkpoints import parse_epochs, parse_offsets, parse_partition_metadata
from .compaction.raw_records import delete_horizon
from .file_names import (
    LEADER_EPOCHS,
    LOG,
    OFFSET_INDEX,
    PARTITION_METADATA,
    SNAPSHOT,
    TIME_INDEX,
    TRANSACTION_INDEX,
    parse_metadata_snapshot,
    parse_segment_file,
    uuid_text,
)
from .leader_epochs import LeaderEpochs
from .producers.markers import decode_marker
from .producers.producer_snapshot import decode_snapshot
from .producers.transaction_index import decode_entries
from .segments.batch_scan import Damage, Read, scan_batches
from .segments.indexes import OFFSET_ENTRY, TIME_ENTRY, OffsetIndex, TimeIndex
from .segments.segment import NO_BOUND

Row = dict[str, Any]
Decode = Callable[[SimpleRecord], Row]
"""Key and value of a record in words."""


def batch_rows(read: Read, size_bytes: int, base_offset: int, records: Decode | None = None) -> Iterator[Row]:
    """The batches of a .log file, each followed by its records when a way to show them is given; and what is damaged.

    Rows have a `kind`: batch, record, marker or damage.
    """
    scan = scan_batches(read, position=0, end=size_bytes, expected=base_offset, bound=NO_BOUND, epochs=LeaderEpochs())
    for found in scan:
        if isinstance(found, Damage):
            yield {
                "kind": "damage", "position": found.position, "end_position": found.end_position,
                "offset": found.first_offset, "next_offset": found.next_offset, "cause": found.cause,
            }  # fmt: skip
            continue
        data = read(found.position, found.size_bytes)
        header = read_header(data)
        yield _batch_row(header, found.position)
        if records is not None:
            yield from _record_rows(data, header, records)


def _batch_row(header: BatchHeader, position: int) -> Row:
    return {
        "kind": "batch", "base_offset": header.base_offset, "last_offset": header.last_offset, "count": header.count,
        "base_sequence": header.base_sequence, "last_sequence": header.last_sequence,
        "producer_id": header.producer_id, "producer_epoch": header.producer_epoch,
        "leader_epoch": header.leader_epoch, "transactional": header.is_transactional, "control": header.is_control,
        "delete_horizon_ms": delete_horizon(header), "position": position,
        "timestamp_type": "LogAppendTime" if header.is_log_append_time else "CreateTime",
        "max_timestamp_ms": header.max_timestamp, "size_bytes": header.size_bytes, "codec": header.codec,
        "crc": header.crc,
    }  # fmt: skip


def _record_rows(data: bytes, header: BatchHeader, decode: Decode) -> Iterator[Row]:
    try:
        marker = decode_marker(data) if header.is_control else None
        if marker is not None:
            yield {
                "kind": "marker", "offset": header.base_offset, "timestamp_ms": header.max_timestamp,
                "outcome": "COMMIT" if marker.commit else "ABORT", "coordinator_epoch": marker.coordinator_epoch,
            }  # fmt: skip
            return
        for record in iter_records(data):
            yield {
                "kind": "record", "offset": record.offset, "timestamp_ms": record.timestamp_ms,
                "headers": [name for name, _ in record.headers], **decode(record),
            }  # fmt: skip
    except CorruptRecords as error:
        yield {"kind": "damage", "offset": header.base_offset, "cause": str(error)}


def first_offset(name: str) -> int | None:
    """Where the offsets of a file of batches begin: a .log, or a snapshot of the cluster metadata; None for others."""
    if parse_metadata_snapshot(name) is not None:
        return 0
    parsed = parse_segment_file(name)
    return parsed[0] if parsed is not None and parsed[1] == LOG else None


def file_rows(name: str, data: bytes, batch_at: Callable[[int], BatchHeader | None]) -> list[Row]:
    """The entries of any other file of a log, by its name.

    batch_at: the batch at a position of the segment's .log file, None where there is none. Raises ValueError for a file
    of another kind or with damage.
    """
    parsed = parse_segment_file(name)
    if parsed is None:
        return _text_rows(name, data)
    base_offset, suffix = parsed
    if suffix == OFFSET_INDEX:
        return _offset_rows(data, base_offset, batch_at)
    if suffix == TIME_INDEX:
        times = TimeIndex.decode(data).encode()
        return [
            {"timestamp_ms": timestamp_ms, "offset": base_offset + relative}
            for timestamp_ms, relative in TIME_ENTRY.iter_unpack(times)
        ]
    if suffix == TRANSACTION_INDEX:
        return [entry._asdict() for entry in decode_entries(data, base_offset=base_offset)]
    assert suffix == SNAPSHOT, f"{name} is a .log file"
    return [
        {
            "producer_id": one.producer_id, "epoch": one.epoch, "coordinator_epoch": one.coordinator_epoch,
            "transaction_start": one.transaction_start if one.transaction_start >= 0 else None,
            "last_timestamp_ms": one.last_timestamp_ms, "last_sequence": one.last_sequence,
            "last_offset": one.batches[-1].last_offset if one.batches else None,
            "offset_delta": one.batches[-1].offset_delta if one.batches else None,
        }
        for one in decode_snapshot(data)
    ]  # fmt: skip


def _offset_rows(data: bytes, base_offset: int, batch_at: Callable[[int], BatchHeader | None]) -> list[Row]:
    rows = []
    for relative, position in OFFSET_ENTRY.iter_unpack(OffsetIndex.decode(data, log_bytes=1 << 32).encode()):
        batch = batch_at(position)
        fits = batch is not None and batch.last_offset == base_offset + relative
        rows.append({"offset": base_offset + relative, "position": position, "fits": fits})
    return rows


def _text_rows(name: str, data: bytes) -> list[Row]:
    if name == LEADER_EPOCHS:
        return [{"epoch": epoch, "start_offset": start} for epoch, start in parse_epochs(data)]
    if name == PARTITION_METADATA:
        return [{"topic_id": uuid_text(parse_partition_metadata(data))}]
    if name.endswith("-checkpoint"):
        return [
            {"topic": topic, "partition": partition, "offset": offset}
            for (topic, partition), offset in parse_offsets(data).items()
        ]
    raise ValueError(
        "not a file of a log: .log, .index, .timeindex, .txnindex, .snapshot, *-checkpoint and partition.metadata are"
    )
