"""A snapshot of the cluster metadata as the bytes of a .checkpoint file, which stands for the log before it. Pure.

Record batches with offsets of their own from 0: a control record as header, records as in the log, a control record as
footer. A file is whole when it ends with its footer; anything else is damage, and nothing of it counts.
Source: RecordsSnapshotWriter, RecordsSnapshotReader and ControlRecordType of Kafka 4.3.1.
Tested in tests/core/coordinators/test_cluster_snapshot.py.
"""

import struct
from collections.abc import Iterable, Iterator
from itertools import islice

from ..errors import CorruptRecords, WireError
from ..wire.batches import SimpleRecord, build_batch, check_batch, marker_type, read_records
from ..wire.message import Message, joined
from ..wire.messages.data_snapshot_footer_record import SnapshotFooterRecord
from ..wire.messages.data_snapshot_header_record import SnapshotHeaderRecord
from ..wire.primitives import Buffer
from .cluster_codec import decode_record, encode_record

HEADER_TYPE, FOOTER_TYPE = 3, 4
RECORDS_IN_BATCH = 1024
_CONTROL_KEY = struct.Struct(">hh")


def snapshot_batches(
    records: Iterable[Message], *, leader_epoch: int, last_contained_ms: int, now_ms: int
) -> Iterator[bytes]:
    """The file, in parts: one batch each. last_contained_ms: the time of the newest record that it stands for."""
    header = SnapshotHeaderRecord(version=0, last_contained_log_timestamp=last_contained_ms)
    offset = 0

    def batch(values: list[SimpleRecord], *, control: bool = False) -> bytes:
        nonlocal offset
        built = build_batch(values, timestamp_ms=now_ms, base_offset=offset, leader_epoch=leader_epoch, control=control)
        offset += len(values)
        return built

    yield batch([_control(HEADER_TYPE, header)], control=True)
    values = (SimpleRecord(0, -1, None, encode_record(record)) for record in records)
    while some := list(islice(values, RECORDS_IN_BATCH)):
        yield batch(some)
    yield batch([_control(FOOTER_TYPE, SnapshotFooterRecord(version=0))], control=True)


def read_snapshot(data: Buffer) -> list[Message | None]:
    """The records of a whole file, None for each of a kind that is not kept. Raises CorruptRecords for all else."""
    records: list[Message | None] = []
    at = expected = 0
    begun = ended = False
    while at < len(data):
        header = check_batch(data, at)
        if ended or header.base_offset != expected:
            raise CorruptRecords(f"offset {header.base_offset} at byte {at}, where {expected} or the end comes next")
        for record in read_records(data, at):
            kind = marker_type(record) if header.is_control else None
            if begun == (kind == HEADER_TYPE):
                raise CorruptRecords(f"the record at offset {record.offset} is {'a second' if begun else 'no'} header")
            begun = True
            ended = kind == FOOTER_TYPE
            if kind is None:
                records.append(_decoded(record))
        expected = header.next_offset
        at += header.size_bytes
    if not ended:
        raise CorruptRecords(f"{len(data)} bytes that do not end with the footer")
    return records


def _control(kind: int, message: Message) -> SimpleRecord:
    return SimpleRecord(0, -1, _CONTROL_KEY.pack(0, kind), joined(message.encode(0)))


def _decoded(record: SimpleRecord) -> Message | None:
    try:
        return decode_record(record.value or b"")
    except WireError as error:
        raise CorruptRecords(f"the record at offset {record.offset} cannot be read: {error}") from error
