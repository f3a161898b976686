"""Arrow columns to record batches v2: split, compression, header and checksum. Pure; API: core/records.

Source: Kafka's DefaultRecordBatch header layout and MemoryRecordsBuilder. Tests: tests/core/records/test_encode.py.
"""

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from crc32c import crc32c

from ..errors import PlanError
from ..kernels import batch_encode as kernels
from ..kernels.arrow import NO_VALIDITY, BinaryBuffers, binary_buffers, read_only, validity_of
from .codecs import NONE, codec_number, compress
from .columns import EncodedBatch, ProducerStamp

BATCH_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
CRC_AT, CRC_COVERS_FROM, LENGTH_COUNTS_FROM = 17, 21, 12
TRANSACTIONAL: Final = 0x10
NO_PRODUCER: Final = ProducerStamp(-1, -1, -1)
NO_ENDS = read_only(None, np.int32)
NO_BINARY = BinaryBuffers(np.frombuffer(bytes(4), np.int32), read_only(None, np.uint8), NO_VALIDITY, 0)
NO_HEADERS = kernels.Headers(NO_ENDS, NO_VALIDITY, 0, NO_BINARY, NO_BINARY)


def encode_batches(
    columns: pa.RecordBatch,
    now_ms: int,
    codec: int | str,
    level: int | None,
    producer: ProducerStamp | None,
    max_batch_bytes: int,
) -> list[EncodedBatch]:
    codec = codec_number(codec)
    keys = binary_buffers(_column(columns, "key"), "key")
    values = binary_buffers(_column(columns, "value"), "value")
    headers = _headers(columns)
    timestamps = _timestamps(columns, now_ms)
    table = np.empty((len(timestamps), kernels.TABLE_COLUMNS), np.int64)
    count = kernels.plan_batches(keys, values, headers, timestamps, max_batch_bytes, table)
    table = table[:count]
    total = int(table[:, kernels.BODY_BYTES].sum()) + count * kernels.HEADER_BYTES
    target = np.empty(total, np.uint8)
    used = kernels.write_batches(keys, values, headers, timestamps, table, target)
    assert used == total, "the plan and the records written differ"
    encoded = []
    at = 0
    view = target.data
    for row in table.tolist():
        end = at + kernels.HEADER_BYTES + row[kernels.BODY_BYTES]
        data = _seal(view[at:end], row, codec, level, producer or NO_PRODUCER)
        encoded.append(EncodedBatch(data, row[kernels.COUNT], row[kernels.FIRST_ROW]))
        at = end
    return encoded


def _seal(
    batch: memoryview, row: list[int], codec: int, level: int | None, producer: ProducerStamp
) -> bytearray | memoryview:
    """Compress the records and fill in the header."""
    sealed: bytearray | memoryview = batch
    if codec != NONE:
        body = compress(codec, batch[kernels.HEADER_BYTES :], level)
        sealed = bytearray(kernels.HEADER_BYTES)
        sealed += body
    sequence = producer.base_sequence
    if sequence >= 0:
        sequence = (sequence + row[kernels.FIRST_ROW]) & 0x7FFFFFFF
    attributes = codec | (TRANSACTIONAL if producer.transactional else 0)
    BATCH_HEADER.pack_into(
        sealed,
        0,
        0,
        len(sealed) - LENGTH_COUNTS_FROM,
        -1,
        2,
        0,
        attributes,
        row[kernels.COUNT] - 1,
        row[kernels.FIRST_TIMESTAMP],
        row[kernels.MAX_TIMESTAMP],
        producer.producer_id,
        producer.epoch,
        sequence,
        row[kernels.COUNT],
    )
    struct.pack_into(">I", sealed, CRC_AT, crc32c(memoryview(sealed)[CRC_COVERS_FROM:]))
    return sealed


def partitions_of_keys(keys: Any, partitions: int) -> npt.NDArray[np.int32]:
    if partitions < 1:
        raise PlanError(f"{partitions} partitions: a key needs at least 1 to go to")
    out = np.empty(len(keys), np.int32)
    kernels.hash_partitions(binary_buffers(keys, "key"), partitions, out)
    return out


def _column(columns: pa.RecordBatch, name: str) -> Any:
    index = columns.schema.get_field_index(name)
    if index < 0:
        raise PlanError(f"records need a column {name}; there are {', '.join(columns.schema.names)}")
    return columns.column(index)


def _timestamps(columns: pa.RecordBatch, now_ms: int) -> npt.NDArray[np.int64]:
    index = columns.schema.get_field_index("timestamp")
    if index < 0:
        return read_only(np.full(columns.num_rows, now_ms, np.int64), np.int64)
    array = columns.column(index)
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ms"), safe=False).view(pa.int64())
    elif pa.types.is_null(array.type):
        array = array.cast(pa.int64())
    elif not pa.types.is_int64(array.type):
        raise PlanError(f"column timestamp has the type {array.type}; timestamp or int64 in ms is needed")
    if array.null_count:
        array = array.fill_null(now_ms)
    timestamps: npt.NDArray[np.int64] = array.to_numpy(zero_copy_only=False)
    if len(timestamps) and timestamps.min() < -1:
        raise PlanError(f"a record has the timestamp {timestamps.min()} ms; Kafka allows none before 1970")
    return np.frombuffer(np.ascontiguousarray(timestamps).data.toreadonly(), np.int64)


def _headers(columns: pa.RecordBatch) -> kernels.Headers:
    index = columns.schema.get_field_index("headers")
    if index < 0:
        return NO_HEADERS
    array = columns.column(index)
    if pa.types.is_null(array.type):
        return NO_HEADERS
    if not (pa.types.is_list(array.type) and pa.types.is_struct(array.type.value_type)):
        raise PlanError(f"column headers has the type {array.type}; a list of struct<key, value> is needed")
    if array.type.value_type.num_fields != 2:
        raise PlanError(f"column headers has the type {array.type}; its struct needs two fields, key and value")
    ends = read_only(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    if len(ends) == 0 or ends[0] == ends[-1]:
        return NO_HEADERS
    fields = array.type.value_type
    swapped = (fields.field(0).name, fields.field(1).name) == ("value", "key")
    names, values = array.values.flatten()[:: -1 if swapped else 1]
    # Rows that a slice or a null list hides may lack a name.
    if names.null_count and array.flatten().flatten()[swapped].null_count:
        raise PlanError("a header has no key; Kafka allows null for a header's value only")
    return kernels.Headers(
        ends,
        validity_of(array),
        array.offset,
        binary_buffers(names, "headers.key"),
        binary_buffers(values, "headers.value"),
    )
