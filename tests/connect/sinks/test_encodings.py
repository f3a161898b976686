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


def test_objects_without_fields_are_left_out_of_parquet_and_objects_in_json() -> None:
    """One row with {"a": {}} ended the task, at every start anew: Parquet has no such type."""
    rows = pa.table(EMPTY_OBJECTS | {"n": pa.array([1, 2])})

    read = pq.read_table(pa.BufferReader(encoded("parquet", rows))).to_pylist()

    assert read == [
        {"l": [None], "s": {"n": 1}, "n": 1},
        {"l": [], "s": None, "n": 2},
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
    with pytest.raises(ConfigError, match=r"the rows have a \(string\), b \(string\); choose format\.class=json"):
        encoded("text", pa.table({"a": ["x"], "b": ["y"]}))


def test_a_column_that_was_only_null_so_far_is_in_no_parquet_file() -> None:
    """It was of Parquet's type NULL, and plain readers of a folder failed at the files that have a type for it."""
    unknown = pa.struct([("known", pa.int64()), ("unknown", pa.null())])
    before = {"n": pa.array([1, 2]), "price": pa.nulls(2), "s": pa.array([{"known": 5}, None], unknown)}
    known = pa.struct([("known", pa.int64()), ("unknown", pa.string())])
    after = {"n": pa.array([3]), "price": pa.array([1.5]), "s": pa.array([{"known": 6, "unknown": "x"}], known)}

    tables = [pq.read_table(pa.BufferReader(encoded("parquet", pa.table(rows)))) for rows in (before, after)]

    assert tables[0].schema.names == ["n", "s"]
    assert tables[0].schema.field("s").type == pa.struct([("known", pa.int64())])
    assert pa.concat_tables(tables, promote_options="permissive").to_pylist() == [
        {"n": 1, "price": None, "s": {"known": 5, "unknown": None}},
        {"n": 2, "price": None, "s": None},
        {"n": 3, "price": 1.5, "s": {"known": 6, "unknown": "x"}},
    ]


def test_rows_that_are_null_in_all_columns_are_still_as_many() -> None:
    rows = pa.table({"a": pa.nulls(3), "o": pa.array([{}, None, {}], pa.struct([]))})

    assert pq.read_table(pa.BufferReader(encoded("parquet", rows))).num_rows == 3
