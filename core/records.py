"""Records: one batch of a topic partition as Arrow columns, and record batches v2 to Records and back. Pure.

Imports pyarrow only; the kernels are loaded by the first decode or encode.
Source: Kafka's record batch format v2 and its default partitioner. Tests: tests/core/records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HEADER_TYPE: Final = pa.struct([("key", pa.string()), ("value", pa.binary())])
RECORDS_SCHEMA: Final = pa.schema(
    [
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("ms")),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(HEADER_TYPE)),
    ]
)
DEFAULT_MAX_DECOMPRESSED_BYTES: Final = 256 * 1024 * 1024
DEFAULT_MAX_BATCH_BYTES: Final = 1_000_000

Buffer = bytes | bytearray | memoryview
Headers = tuple[tuple[str, bytes | None], ...]


class Row(NamedTuple):
    """One record. A timestamp of -1 means that the producer gave none."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one topic partition in the order of their offsets, which may have gaps; columns as RECORDS_SCHEMA.

    The leader epoch is that of the last batch they came from, -1 when unknown.
    """

    topic: str
    partition: int
    leader_epoch: int
    columns: pa.RecordBatch

    @property
    def num_rows(self) -> int:
        return int(self.columns.num_rows)

    @property
    def first_offset(self) -> int:
        """Offset of the first record; there must be one."""
        return int(self.columns.column(0)[0].as_py())

    @property
    def last_offset(self) -> int:
        """Offset of the last record; there must be one."""
        return int(self.columns.column(0)[self.num_rows - 1].as_py())

    def slice(self, start: int, count: int | None = None) -> "Records":
        """`count` rows from row `start` on, without a copy."""
        return Records(self.topic, self.partition, self.leader_epoch, self.columns.slice(start, count))

    def rows(self) -> Iterator[Row]:
        """The records one by one, for code that works on rows."""
        offsets, timestamps, keys, values, headers = (
            self.columns.column(0).to_pylist(),
            self.columns.column(1).view(pa.int64()).to_pylist(),
            self.columns.column(2).to_pylist(),
            self.columns.column(3).to_pylist(),
            self.columns.column(4).to_pylist(),
        )
        for offset, timestamp, key, value, entries in zip(offsets, timestamps, keys, values, headers, strict=True):
            pairs = tuple((entry["key"], entry["value"]) for entry in entries or ())
            yield Row(offset, timestamp, key, value, pairs)


class Decoded(NamedTuple):
    """Records of a fetch, and the offset to fetch from next: past records that were left out as well."""

    records: Records
    next_offset: int


@dataclass(frozen=True, slots=True)
class ProducerStamp:
    """What an idempotent or transactional producer writes into its batches; base_sequence is that of the first row."""

    producer_id: int
    epoch: int
    base_sequence: int
    transactional: bool = False


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """One record batch with base offset 0, as Produce sends it, and the rows of the input that it holds."""

    data: Buffer
    count: int
    first_row: int


def empty_records(topic: str, partition: int, leader_epoch: int = -1) -> Records:
    """No records."""
    return Records(topic, partition, leader_epoch, pa.RecordBatch.from_pylist([], schema=RECORDS_SCHEMA))


def decode(
    data: Buffer | Sequence[Buffer],
    *,
    topic: str,
    partition: int,
    from_offset: int = 0,
    aborted: Sequence[tuple[int, int]] = (),
    read_committed: bool = False,
    check_crc: bool = True,
    max_decompressed_bytes: int = DEFAULT_MAX_DECOMPRESSED_BYTES,
) -> Decoded:
    """All whole batches of one fetch as one Records.

    data: record batches as they stand in a log, or buffers that give them when joined; a cut-off last one is left out.
    aborted: (producer id, first offset) of aborted transactions; used when read_committed.
    Left out: records below from_offset, control batches, and with read_committed the records of aborted transactions.
    When more than max_decompressed_bytes would come out, decoding ends before the batch that passes it, and next_offset
    is that batch's. Raises CorruptRecords, with the batch's base offset and what is wrong, for anything damaged.
    """
    from .records_decode import DecodeOptions, decode_fetch

    options = DecodeOptions(from_offset, aborted if read_committed else (), check_crc, max_decompressed_bytes)
    columns, leader_epoch, next_offset = decode_fetch(data, f"{topic}-{partition}", options)
    return Decoded(Records(topic, partition, leader_epoch, columns), next_offset)


def encode(
    columns: pa.RecordBatch,
    *,
    now_ms: int,
    codec: int | str = "none",
    level: int | None = None,
    producer: ProducerStamp | None = None,
    max_batch_bytes: int = DEFAULT_MAX_BATCH_BYTES,
) -> list[EncodedBatch]:
    """Record batches that hold the rows of `columns`, in order.

    columns: `key` and `value` (binary or string), optionally `timestamp` (ms; null is now_ms) and `headers`.
    A batch ends before the row that would take it past max_batch_bytes uncompressed; a larger row is a batch by itself.
    Raises PlanError for columns of other types and ConfigError for an unknown codec.
    """
    from .records_encode import encode_batches

    return encode_batches(columns, now_ms, codec, level, producer, max_batch_bytes)


def murmur2_partitions(keys: Any, partitions: int) -> "npt.NDArray[np.int32]":
    """The partition that Kafka's default partitioner gives each key; -1 for a null key.

    keys: a pa.Array of binary or string values. partitions: at least 1.
    """
    from .records_encode import partitions_of_keys

    return partitions_of_keys(keys, partitions)
