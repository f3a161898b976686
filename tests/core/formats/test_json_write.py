"""JsonFormat.encode against Python's json, and there and back again."""

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thoroughness import some

from millstream.core.errors import PlanError
from millstream.core.formats.json import JsonFormat

SCHEMA = pa.schema(
    [
        ("n", pa.int64()),
        ("small", pa.int16()),
        ("ok", pa.bool_()),
        ("x", pa.float64()),
        ("text", pa.string()),
        ('a "name"', pa.timestamp("ms", tz="UTC")),
    ]
)
rows = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "small": st.none() | st.integers(-(2**15), 2**15 - 1),
        "ok": st.none() | st.booleans(),
        "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "text": st.none() | st.text(),
        'a "name"': st.none() | st.integers(-(2**50), 2**50),
    }
)


def columns_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    arrays = []
    for field in SCHEMA:
        values = [row[field.name] for row in rows]
        is_time = pa.types.is_timestamp(field.type)
        arrays.append(pa.array(values, pa.int64()).view(field.type) if is_time else pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


@settings(max_examples=some(100))
@given(st.lists(rows, max_size=6), st.integers(0, 2))
def test_rows_are_what_pythons_json_reads_back(given_rows: list[dict[str, Any]], skipped: int) -> None:
    columns = columns_of(given_rows).slice(skipped)

    encoded = JsonFormat().encode(columns)

    encoded.validate(full=True)
    assert encoded.type == pa.binary()
    read = [json.loads(value) for value in encoded.to_pylist()]
    assert [repr(sorted(row.items())) for row in read] == [repr(sorted(row.items())) for row in given_rows[skipped:]]
    assert JsonFormat(SCHEMA).decode(encoded).columns.equals(columns)


def encode(**columns: Any) -> list[bytes]:
    return JsonFormat().encode(pa.RecordBatch.from_pydict(columns)).to_pylist()  # type: ignore[no-any-return]


def test_the_text_is_compact_and_in_column_order() -> None:
    assert encode(host=["a", None], count=[-1, 2], mean=[0.1, 2.0], ok=[True, False]) == [
        b'{"host":"a","count":-1,"mean":0.1,"ok":true}',
        b'{"host":null,"count":2,"mean":2.0,"ok":false}',
    ]


def test_control_characters_are_escaped() -> None:
    assert encode(text=['\x00\x1f\n"\\/é\u2028']) == ['{"text":"\\u0000\\u001f\\n\\"\\\\/é\u2028"}'.encode()]


def test_numbers_that_json_lacks_are_null() -> None:
    assert encode(x=[math.nan, math.inf, -math.inf, 1e300]) == [b'{"x":null}'] * 3 + [b'{"x":1e+300}']


@given(st.lists(st.none() | st.floats(width=32), max_size=20), st.integers(0, 2))
@example([2.0, 16777216.0, 1e10, -0.0, 2.0**-149, 1e-5, None, math.nan, -math.inf], 0)
def test_a_float32_has_as_few_digits_as_give_it_again(values: list[float | None], skipped: int) -> None:
    columns = pa.RecordBatch.from_arrays([pa.array(values, pa.float32())], ["x"]).slice(skipped)

    read = [json.loads(text)["x"] for text in JsonFormat().encode(columns).to_pylist()]

    kept = [value if value is None or math.isfinite(value) else None for value in values[skipped:]]
    assert [repr(value) for value in read] == [
        repr(None if value is None else float(str(np.float32(value)))) for value in kept
    ]


def test_rarer_types_are_written_too() -> None:
    columns = {
        "day": pa.array([date(2024, 2, 29)]),
        "seconds": pa.array([datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)], pa.timestamp("s", tz="UTC")),
        "large": pa.array([2**64 - 1], pa.uint64()),
        "float32": pa.array([0.1], pa.float32()),
        "word": pa.array(["a"]).dictionary_encode(),
        "view": pa.array(["b"], pa.string_view()),
        "list": [[1, None]],
        "struct": [{"a": "x"}],
        "bytes": [b"\xff"],
        "decimal": [Decimal("1.50")],
        "nothing": pa.nulls(1),
    }

    [row] = encode(**columns)

    assert row == (
        b'{"day":"2024-02-29","seconds":5000,"large":18446744073709551615,"float32":0.1,"word":"a","view":"b",'
        b'"list":[1,null],"struct":{"a":"x"},"bytes":"/w==","decimal":"1.50","nothing":null}'
    )


@pytest.mark.parametrize("columns", [pa.RecordBatch.from_arrays([], names=[]), None])
def test_columns_that_make_no_object_are_refused(columns: pa.RecordBatch | None) -> None:
    if columns is None:
        columns = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])

    with pytest.raises(PlanError, match="an object needs members, each with its own name"):
        JsonFormat().encode(columns)


def test_dictionaries_of_more_than_2_gib_are_refused_with_the_remedy() -> None:
    """Arrow's own error told of a take operation."""
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 2048, pa.int16()), pa.array(["x" * (1 << 20)]))

    with pytest.raises(PlanError, match=r"json: a column of 2048 rows of dictionary.* holds more than 2 GiB; cut"):
        JsonFormat().encode(pa.RecordBatch.from_pydict({"word": words}))
