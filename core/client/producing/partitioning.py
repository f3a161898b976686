"""Which rows of a batch go to which partition, and their encoding. Pure; arrays in, arrays out.

Rows with a key go where Kafka's default partitioner sends them, rows without one all to the partition that the caller
picks. Source: KIP-480 and KIP-794 (sticky partitions). Tests: tests/core/client/test_partitioning.py.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ...errors import PlanError
from ...records import EncodedBatch, encode, murmur2_partitions

RowNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a batch that go to one partition; `rows` are their numbers in the batch, None for all of them."""

    partition: int
    columns: Any
    rows: RowNumbers | None = None


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How parts become record batches."""

    codec: str
    level: int | None
    max_batch_bytes: int
    now_ms: int


def split(columns: Any, partition: int | Any | None, *, partition_count: int, keyless_partition: int) -> list[Part]:
    """The rows of `columns` by partition, in their order.

    partition: one for all rows, or an array with one for each row, or None to go by the `key` column.
    Raises PlanError for a partition that does not exist or an array of another length.
    """
    if partition is None:
        return _split_by_key(columns, partition_count, keyless_partition)
    if isinstance(partition, int | np.integer):
        _check_bounds(int(partition), int(partition), partition_count)
        return [Part(int(partition), columns)]
    given = np.asarray(partition)
    if given.shape != (columns.num_rows,):
        raise PlanError(f"partition has shape {given.shape}; there are {columns.num_rows} rows")
    _check_bounds(int(given.min()), int(given.max()), partition_count)
    return _split_by_array(columns, given)


def encode_parts(parts: list[Part], options: EncodeOptions) -> list[list[EncodedBatch]]:
    """The record batches of each part."""
    return [
        encode(
            part.columns,
            now_ms=options.now_ms,
            codec=options.codec,
            level=options.level,
            max_batch_bytes=options.max_batch_bytes,
        )
        for part in parts
    ]


def _split_by_key(columns: Any, partition_count: int, keyless_partition: int) -> list[Part]:
    at = columns.schema.get_field_index("key")
    keys = columns.column(at) if at >= 0 else None
    if keys is None or keys.null_count == columns.num_rows:
        return [Part(keyless_partition, columns)]
    if partition_count == 1:
        return [Part(0, columns)]
    found = murmur2_partitions(keys, partition_count)
    if keys.null_count:
        found = np.where(found < 0, keyless_partition, found)
    return _split_by_array(columns, found)


def _split_by_array(columns: Any, partitions: npt.NDArray[Any]) -> list[Part]:
    first = int(partitions[0])
    if (partitions == first).all():
        return [Part(first, columns)]
    narrow = partitions.astype(np.int16) if int(partitions.max()) < 1 << 15 else partitions
    order = np.argsort(narrow, kind="stable")
    ordered = narrow[order]
    starts = np.flatnonzero(np.diff(ordered)) + 1
    bounds = [0, *starts.tolist(), len(order)]
    moved = columns.take(pa.array(order))
    return [
        Part(int(ordered[start]), moved.slice(start, end - start), order[start:end])
        for start, end in itertools.pairwise(bounds)
    ]


def _check_bounds(low: int, high: int, partition_count: int) -> None:
    if not 0 <= low <= high < partition_count:
        wrong = low if low < 0 else high
        raise PlanError(f"partition {wrong} does not exist: the topic has partitions 0 to {partition_count - 1}")
