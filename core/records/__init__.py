"""Records, and record batches v2 to Records and back. Pure.

Imports pyarrow only; the kernels are loaded by the first decode or encode.
Source: Kafka's record batch format v2 and its default partitioner. Tests: tests/core/records.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from .columns import (
    HEADER_TYPE,
    RECORDS_SCHEMA,
    Buffer,
    Decoded,
    EncodedBatch,
    Headers,
    ProducerStamp,
    Records,
    Row,
    empty_records,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "DEFAULT_MAX_BATCH_BYTES",
    "DEFAULT_MAX_DECOMPRESSED_BYTES",
    "HEADER_TYPE",
    "RECORDS_SCHEMA",
    "Buffer",
    "Decoded",
    "EncodedBatch",
    "Headers",
    "ProducerStamp",
    "Records",
    "Row",
    "decode",
    "empty_records",
    "encode",
    "murmur2_partitions",
]

DEFAULT_MAX_DECOMPRESSED_BYTES: Final = 256 * 1024 * 1024
DEFAULT_MAX_BATCH_BYTES: Final = 1_000_000


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
    from .decoding import DecodeOptions, decode_fetch

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
    from .encoding import encode_batches

    return encode_batches(columns, now_ms, codec, level, producer, max_batch_bytes)


def murmur2_partitions(keys: Any, partitions: int) -> "npt.NDArray[np.int32]":
    """The partition that Kafka's default partitioner gives each key; -1 for a null key.

    keys: a pa.Array of binary or string values. partitions: at least 1.
    """
    from .encoding import partitions_of_keys

    return partitions_of_keys(keys, partitions)
