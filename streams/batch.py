"""Records to the typed rows that a source gives, with their times, and what could not be read. Pure.

Tests: tests/dsl/test_topology.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..core.records import Records
from .ops.buffers import Int64s, integers, validity
from .ops.slots import NULL_TIME
from .plan import Source
from .rows import RowProgram

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows on their way through the plan. rows: for each, its row in `records`; None where there are no records.

    times: ms since the epoch; NULL_TIME where the time column is null.
    """

    columns: pa.RecordBatch
    times: Int64s
    rows: Int64s
    records: Records | None


class Fault(NamedTuple):
    """A record that could not be processed, by its row in the records."""

    row: int
    exception: str
    message: str


def milliseconds(array: pa.Array) -> Int64s:
    """Times of a timestamp or int64 column in ms, rounded down; NULL_TIME where null."""
    values = integers(array)
    if pa.types.is_timestamp(array.type):
        unit = PER_SECOND[array.type.unit]
        values = values * (1000 // unit) if unit <= 1000 else values // (unit // 1000)
    valid = validity(array)
    return values if valid.size == 0 else np.where(valid == 1, values, NULL_TIME)


def decode_source(source: Source, records: Records) -> tuple[Batch, list[Fault]]:
    """The rows of a source's records, in order, and the records that its formats could not read."""
    decoded = source.value.decode(records.columns.column("value"))
    rows = np.asarray(decoded.rows, np.int64)
    faults = [Fault(failure.row, "DeserializationException", failure.cause) for failure in decoded.failures]
    columns = decoded.columns
    if source.key is not None:
        columns, rows, key_faults = _with_key(source, records, columns, rows)
        faults += key_faults
    if source.time is not None:
        if isinstance(source.time, str):
            times, cause = milliseconds(columns.column(source.time)), f"the time, {source.time}, is null"
        else:
            computed = RowProgram([source.time], None).run(columns)
            faults += [Fault(int(rows[fault.row]), fault.exception, fault.message) for fault in computed.faults]
            times, cause = milliseconds(computed.columns.column(source.time.name)), "the expression of time gives null"
            columns, rows = computed.columns.select(source.schema.names), rows[computed.rows]
        if (times == NULL_TIME).any():
            timed = times != NULL_TIME
            faults += [Fault(int(row), "InvalidTimestamp", cause) for row in rows[~timed]]
            columns, rows, times = columns.filter(pa.array(timed)), rows[timed], times[timed]
    else:
        stamps = integers(records.columns.column("timestamp"))
        times = stamps if rows.size == stamps.size else stamps[rows]
    return Batch(columns, times, rows, records), faults


def _with_key(
    source: Source, records: Records, columns: pa.RecordBatch, rows: Int64s
) -> tuple[pa.RecordBatch, Int64s, list[Fault]]:
    """The columns of the key before those of the value; the columns of a null key are null."""
    assert source.key is not None
    keys = records.columns.column("key").take(pa.array(rows))
    present = np.flatnonzero(keys.is_valid().to_numpy(zero_copy_only=False))
    decoded = source.key.decode(keys.take(pa.array(present)))
    place = np.full(rows.size, -1, np.int64)
    place[present[np.asarray(decoded.rows, np.int64)]] = np.arange(decoded.columns.num_rows)
    failed = [(int(present[failure.row]), failure.cause) for failure in decoded.failures]
    kept = np.ones(rows.size, np.bool_)
    kept[[index for index, _ in failed]] = False
    taken = pa.array(place, mask=place < 0)
    arrays = [column.take(taken) for column in decoded.columns.columns] + list(columns.columns)
    names = [*decoded.columns.schema.names, *columns.schema.names]
    merged = pa.RecordBatch.from_arrays(arrays, names)
    faults = [Fault(int(rows[index]), "DeserializationException", f"key: {cause}") for index, cause in failed]
    if not failed:
        return merged, rows, faults
    return merged.filter(pa.array(kept)), rows[kept], faults
