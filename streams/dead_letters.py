"""Records for rows that could not be processed, and for rows that came too late. Pure.

Headers as Kafka Streams writes them since KIP-1034: __streams.errors.{exception,message,topic,partition,offset}, after
the record's own headers; key and value are the record's, byte for byte. Tests: tests/streams/test_dead_letters.py.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.records import HEADER_TYPE, Records
from .batch import Batch, Fault
from .outputs import Output

EXCEPTION, MESSAGE, TOPIC = "__streams.errors.exception", "__streams.errors.message", "__streams.errors.topic"
PARTITION, OFFSET = "__streams.errors.partition", "__streams.errors.offset"


def dead_letters(topic: str, records: Records, rows: Sequence[int], causes: Sequence[tuple[str, str]]) -> Output:
    """The records of these rows, each with its (exception, message)."""
    offsets = records.columns.column("offset")
    added = [
        {EXCEPTION: exception, MESSAGE: message, TOPIC: records.topic, PARTITION: str(records.partition),
         OFFSET: str(offsets[row].as_py())}
        for row, (exception, message) in zip(rows, causes, strict=True)
    ]  # fmt: skip
    return Output(topic, _with_headers(records, rows, added))


def late_rows(topic: str, records: Records, rows: npt.NDArray[np.int64], stream_time_ms: int) -> Output:
    """The records of rows that were late for at least one window."""
    offsets = records.columns.column("offset")
    added = [
        {EXCEPTION: "LateRow", MESSAGE: f"a window of this row had closed; stream time is {stream_time_ms}",
         TOPIC: records.topic, PARTITION: str(records.partition), OFFSET: str(offsets[row].as_py())}
        for row in rows.tolist()
    ]  # fmt: skip
    return Output(topic, _with_headers(records, rows.tolist(), added))


def result_letters(topic: str, place: str, batch: Batch, faults: Sequence[Fault]) -> Output:
    """Result rows on which a step failed, as JSON without a key; `place` says which store they are from."""
    rows = batch.columns.take(pa.array([fault.row for fault in faults])).to_pylist()
    headers = [
        [{"key": key, "value": value.encode()} for key, value in
         ((EXCEPTION, fault.exception), (MESSAGE, fault.message), (TOPIC, place))]
        for fault in faults
    ]  # fmt: skip
    values = pa.array([msgspec.json.encode(row) for row in rows], pa.binary())
    arrays = [pa.nulls(len(rows), pa.binary()), values, pa.array(headers, pa.list_(HEADER_TYPE))]
    return Output(topic, pa.RecordBatch.from_arrays(arrays, ["key", "value", "headers"]))


def _with_headers(records: Records, rows: Sequence[int], added: Sequence[Mapping[str, str]]) -> pa.RecordBatch:
    taken = records.columns.take(pa.array(rows, pa.int64()))
    headers = [
        [*(own or ()), *({"key": key, "value": value.encode()} for key, value in more.items())]
        for own, more in zip(taken.column("headers").to_pylist(), added, strict=True)
    ]
    return pa.RecordBatch.from_arrays(
        [taken.column("timestamp"), taken.column("key"), taken.column("value"),
         pa.array(headers, pa.list_(HEADER_TYPE))],
        ["timestamp", "key", "value", "headers"],
    )  # fmt: skip
