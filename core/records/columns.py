"""Records: one batch of a topic partition as Arrow columns, and what goes with it to and from record batches. Pure.

Imports pyarrow only. Tests: tests/core/records.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import pyarrow as pa

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

    def before(self, end_offset: int) -> "Records":
        """The records below an offset, without a copy."""
        if not self.num_rows or self.last_offset < end_offset:
            return self
        offsets = self.columns.column(0).to_numpy()
        return self.slice(0, int((offsets < end_offset).sum()))

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
