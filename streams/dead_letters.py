"""Records for rows that could not be processed, and for rows that came too late. Pure.

Headers as Kafka Streams writes them since KIP-1034: __streams.errors.{exception,message,topic,partition,offset}, after
the record's own headers; key and value are the record's, byte for byte. Tests: tests/streams/test_dead_letters.py.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.records import HEADER_TYPE, Records
from ..core.records.added_headers import with_headers
from .batch import Batch, Fault
from .outputs import Output

EXCEPTION, MESSAGE, TOPIC = "__streams.errors.exception", "__streams.errors.message", "__streams.errors.topic"
PARTITION, OFFSET = "__streams.errors.partition", "__streams.errors.offset"


def dead_letters(topic: str, records: Records, faults: Sequence[Fault]) -> Output:
    """The records of the rows that could not be processed, each with why."""
    taken = records.columns.take(pa.array([fault.row for fault in faults], pa.int64()))
    added = (
        (EXCEPTION, pa.array([fault.exception for fault in faults], pa.string())),
        (MESSAGE, pa.array([fault.message for fault in faults], pa.string())),
    )
    return Output(topic, _letters(records, taken, added))


def late_rows(topic: str, records: Records, rows: npt.NDArray[np.int64], stream_time_ms: int) -> Output:
    """The records of rows that were late for at least one window."""
    added = (
        (EXCEPTION, "LateRow"),
        (MESSAGE, f"a window of this row had closed; stream time is {stream_time_ms}"),
    )
    return Output(topic, _letters(records, records.columns.take(pa.array(rows)), added))


def result_letters(topic: str, place: str, batch: Batch, faults: Sequence[Fault]) -> Output:
    """Result rows on which a step failed, as JSON without a key; `place` says which store they are from."""
    rows = batch.columns.take(pa.array([fault.row for fault in faults])).to_pylist()
    values = pa.array([msgspec.json.encode(row) for row in rows], pa.binary())
    added = (
        (EXCEPTION, pa.array([fault.exception for fault in faults], pa.string())),
        (MESSAGE, pa.array([fault.message for fault in faults], pa.string())),
        (TOPIC, place),
    )
    headers = with_headers(pa.nulls(len(rows), pa.list_(HEADER_TYPE)), added)
    return Output(topic, pa.RecordBatch.from_arrays([pa.nulls(len(rows), pa.binary()), values, headers],
                                                    ["key", "value", "headers"]))  # fmt: skip


def _letters(records: Records, taken: pa.RecordBatch, added: Sequence[tuple[str, pa.Array | str]]) -> pa.RecordBatch:
    """Records as they were read, `added` and where they were behind their own headers."""
    place = (
        (TOPIC, records.topic),
        (PARTITION, str(records.partition)),
        (OFFSET, taken.column("offset").cast(pa.string())),
    )
    headers = with_headers(taken.column("headers"), (*added, *place))
    return pa.RecordBatch.from_arrays(
        [taken.column("timestamp"), taken.column("key"), taken.column("value"), headers],
        ["timestamp", "key", "value", "headers"],
    )
