"""Types found in rows and kept: they only widen, and every row fits what was kept."""

import json

import pyarrow as pa
import pytest

from millstream.connect.sinks.filesystem.types import as_text, conformed, decode_schema, encode_schema, widened


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        (pa.int64(), pa.int32(), pa.int64()),
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.null(), pa.string(), pa.string()),
        (pa.string(), pa.null(), pa.string()),
        (pa.bool_(), pa.int64(), pa.string()),
        (
            pa.struct([("a", pa.int64())]),
            pa.struct([("b", pa.string())]),
            pa.struct([("a", pa.int64()), ("b", pa.string())]),
        ),
        (pa.list_(pa.int64()), pa.list_(pa.float64()), pa.list_(pa.float64())),
        (pa.struct([("a", pa.int64())]), pa.int64(), pa.string()),
        (pa.large_list(pa.int64()), pa.list_(pa.float64()), pa.list_(pa.float64())),
        (pa.list_(pa.null()), pa.list_(pa.string()), pa.list_(pa.string())),
    ],
)
def test_a_type_widens_as_stated(known: pa.DataType, seen: pa.DataType, expected: pa.DataType) -> None:
    assert widened(pa.schema([("x", known)]), pa.schema([("x", seen)])) == pa.schema([("x", expected)])


def test_rows_fit_the_widened_schema_with_their_values() -> None:
    first = pa.RecordBatch.from_pylist([{"n": 1, "s": {"a": 1}, "l": [1, 2]}, {"n": None, "s": None, "l": None}])
    second = pa.RecordBatch.from_pylist([{"n": 1.5, "s": {"a": 2, "b": "x"}, "l": [0.5], "new": True}])
    schema = widened(first.schema, second.schema)

    rows = conformed(first, schema).to_pylist() + conformed(second, schema).to_pylist()

    assert rows == [
        {"n": 1.0, "s": {"a": 1, "b": None}, "l": [1.0, 2.0], "new": None},
        {"n": None, "s": None, "l": None, "new": None},
        {"n": 1.5, "s": {"a": 2, "b": "x"}, "l": [0.5], "new": True},
    ]


def test_what_was_null_in_all_rows_fits_every_type() -> None:
    """An object after whose first rows came only nulls ended the task: Arrow casts no null column to an object."""
    nested = pa.struct([("a", pa.struct([("b", pa.int64())])), ("l", pa.list_(pa.struct([("c", pa.string())])))])
    nulls = pa.struct([("a", pa.null()), ("l", pa.list_(pa.null()))])
    rows = pa.RecordBatch.from_arrays(
        [pa.array([{"a": None, "l": [None]}, {"a": None, "l": None}], nulls), pa.nulls(2)], ["s", "t"]
    )

    fitted = conformed(rows, pa.schema([("s", nested), ("t", nested)]))

    fitted.validate(full=True)
    assert fitted.to_pylist() == [{"s": {"a": None, "l": [None]}, "t": None}, {"s": {"a": None, "l": None}, "t": None}]


def test_an_object_within_which_all_is_null_widens_with_its_null_rows() -> None:
    seen = pa.struct([("a", pa.struct([("b", pa.null())]))])
    wide = pa.struct([("a", pa.struct([("b", pa.int64()), ("c", pa.string())]))])
    rows = pa.RecordBatch.from_arrays([pa.array([{"a": {"b": None}}, {"a": None}, None], seen)], ["s"])

    fitted = conformed(rows.slice(0), pa.schema([("s", wide)]))
    later = conformed(rows.slice(1, 1), pa.schema([("s", wide)]))

    fitted.validate(full=True)
    assert fitted.to_pylist() == [{"s": {"a": {"b": None, "c": None}}}, {"s": {"a": None}}, {"s": None}]
    assert later.to_pylist() == [{"s": {"a": None}}]


def test_what_fits_nowhere_else_becomes_text_and_nested_values_become_json() -> None:
    first = pa.RecordBatch.from_pylist([{"x": {"a": [1]}}])
    schema = widened(first.schema, pa.schema([("x", pa.int64())]))

    rows = conformed(first, schema).to_pylist() + conformed(pa.RecordBatch.from_pylist([{"x": 7}]), schema).to_pylist()

    assert [json.loads(row["x"]) for row in rows] == [{"a": [1]}, 7]


def test_bytes_become_text_whatever_they_are() -> None:
    """A folder named by bytes, or bytes where text was kept, ended the task at the first that was no UTF-8."""
    assert as_text(pa.array([b"\xff-\xc3\xa4", None, b""], pa.binary())).to_pylist() == ["\\xff-\u00e4", None, ""]


def test_a_schema_is_kept_readable_and_exact() -> None:
    schema = pa.schema(
        [("host", pa.string()), ("at", pa.timestamp("ms", tz="UTC")), ("s", pa.struct([("a", pa.int8())]))]
    )

    kept = encode_schema(schema)

    assert decode_schema(kept) == schema
    assert json.loads(kept)["columns"]["at"] == "timestamp[ms, tz=UTC]"
