"""Rows to the bytes of a file, whatever their values are."""

import gzip
import json

import cramjam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millstream.connect.sinks.filesystem.encodings import Encoding
from millstream.core.errors import ConfigError

EMPTY_OBJECTS = {
    "o": pa.array([{}, None], pa.struct([])),
    "l": pa.array([[{}], []], pa.list_(pa.struct([]))),
    "s": pa.array([{"a": {}, "n": 1}, None], pa.struct([("a", pa.struct([])), ("n", pa.int64())])),
}


def encoded(form: str, rows: pa.Table) -> bytes:
    return bytes(Encoding(form, "zstd", "none").encode(rows))


def test_objects_without_fields_are_null_in_parquet_and_objects_in_json() -> None:
    """One row with {"a": {}} ended the task, at every start anew: Parquet has no such type."""
    rows = pa.table(EMPTY_OBJECTS | {"n": pa.array([1, 2])})

    read = pq.read_table(pa.BufferReader(encoded("parquet", rows))).to_pylist()

    assert read == [
        {"o": None, "l": [None], "s": {"a": None, "n": 1}, "n": 1},
        {"o": None, "l": [], "s": None, "n": 2},
    ]
    assert json.loads(encoded("json", rows).splitlines()[0]) == {"o": {}, "l": [{}], "s": {"a": {}, "n": 1}, "n": 1}


def test_bytes_are_base64_in_json() -> None:
    """They ended the whole process: what Polars raised at them was no Exception."""
    kind = pa.struct([("b", pa.binary()), ("l", pa.list_(pa.binary())), ("t", pa.timestamp("ms", tz="UTC"))])
    nested = pa.array([{"b": b"\xff", "l": [b"", None], "t": 5}, None], kind)
    rows = pa.table({"key": pa.array([b"\xff\x00", None], pa.binary()), "n": pa.array([1, 2]), "s": nested})

    assert [json.loads(line) for line in encoded("json", rows).splitlines()] == [
        {"key": "/wA=", "n": 1, "s": {"b": "/w==", "l": ["", None], "t": "1970-01-01T00:00:00.005+00:00"}},
        {"key": None, "n": 2, "s": None},
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_text_is_a_line_for_each_row(kind: pa.DataType, compression: str) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(["left out", "one", "", None, "zw\u00f6lf"], kind)], ["value"])
    rows = pa.Table.from_batches([batch.slice(1, 2), batch.slice(3)])

    data = bytes(Encoding("text", "zstd", compression).encode(rows))

    plain = {"none": bytes, "gzip": gzip.decompress, "zstd": lambda packed: bytes(cramjam.zstd.decompress(packed))}
    assert plain[compression](data).decode() == "one\n\n\nzw\u00f6lf\n"


def test_text_wants_one_column_of_text() -> None:
    with pytest.raises(ConfigError, match=r"the rows have a, b; set value\.converter=string"):
        encoded("text", pa.table({"a": ["x"], "b": ["y"]}))
