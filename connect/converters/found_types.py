"""JSON objects without declared types to columns of the types that are found in them. Pure.

Polars reads a batch at once. Where it cannot, or would change a value (it makes null of a number among objects, 1 of
true among numbers, and of an object among texts what only resembles JSON), the rows are read one by one, and the types
follow the rules by which kept types widen: whole numbers and fractions are float64, anything else that differs is text,
in which nested values stand as JSON.
Tested in tests/connect/test_found_types.py.
"""

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from ...core.formats.api import NULL_VALUE, DecodedColumns, RowFailure
from ...core.formats.json_rows import RowFault, read_object

INT64_LOW, INT64_HIGH = -(2**63), 2**63 - 1
# Objects and lists within each other; Arrow hands on no more than 63 of them.
NESTING_MAX = 50
# What Polars, which panics at some values, Arrow and msgspec raise for what they cannot read.
UNREADABLE = (
    msgspec.MsgspecError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    pa.ArrowException,
    RuntimeError,
    ValueError,
)


def found(values: pa.Array) -> DecodedColumns:
    """values: binary, shape (n,), each a JSON object; those that are none are the failures."""
    if len(values) and not values.null_count:
        columns = _at_once(b"\n".join(values.to_pylist()), len(values))
        if columns is not None:
            return DecodedColumns(columns, np.arange(len(values), dtype=np.int64), [])
    return _row_by_row(values)


def _at_once(lines: bytes, rows: int) -> pa.RecordBatch | None:
    """None where it would not give one row a line with the values that stand there."""
    if lines.count(b"\n") != rows - 1:
        return None
    try:
        frame = pl.read_ndjson(io.BytesIO(lines), infer_schema_length=None)
        if frame.height != rows:
            return None
        _check_kinds(lines, frame.schema, rows)
        # No file format here has wider whole numbers than 64 bits.
        narrow = frame.cast({pl.Int128: pl.Float64, pl.UInt64: pl.Float64})
        table = narrow.to_arrow(compat_level=pl.CompatLevel.oldest())
        schema = pa.schema([(field.name, _plain(field.type)) for field in table.schema])
        return single(table if table.schema.equals(schema) else table.cast(schema))
    except UNREADABLE:
        return None


def _check_kinds(lines: bytes, schema: Mapping[str, pl.DataType], rows: int) -> None:
    """Raises MsgspecError where a value is of another kind than Polars has found for its column.

    Only where there can be one: objects and lists, and true or false beside numbers.
    """
    may_be_nested = b"[" in lines or lines.count(b"{") > rows
    has_booleans = any(kind.is_numeric() for kind in schema.values()) and (b"true" in lines or b"false" in lines)
    if may_be_nested or has_booleans:
        _shape(tuple(schema.items())).decode_lines(lines)


@lru_cache(maxsize=64)
def _shape(columns: tuple[tuple[str, Any], ...]) -> "msgspec.json.Decoder[Any]":
    """Reads lines whose values are of the kinds of these columns. Raises ValueError for names that msgspec refuses."""
    return msgspec.json.Decoder(_struct(columns))


def _struct(columns: Sequence[tuple[str, Any]]) -> Any:
    kinds = [(f"f{number}", name, _kind(dtype)) for number, (name, dtype) in enumerate(columns)]
    checked = [(field, name, kind) for field, name, kind in kinds if kind is not Any]
    return msgspec.defstruct(
        "Shape",
        [(field, kind | None, None) for field, _, kind in checked],
        rename={field: name for field, name, _ in checked},
        gc=False,
    )


def _kind(dtype: Any) -> Any:
    if isinstance(dtype, pl.Struct):
        return _struct([(field.name, field.dtype) for field in dtype.fields])
    if isinstance(dtype, pl.List):
        inner = _kind(dtype.inner)
        return list[Any] if inner is Any else list[inner | None]  # type: ignore[valid-type]
    if dtype == pl.String:
        return str | float | bool
    return float if dtype.is_numeric() else Any


def _plain(kind: pa.DataType) -> pa.DataType:
    """Polars gives large_string and large_list; files and kept types here say string and list."""
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _plain(field.type)) for field in kind])
    return kind


def single(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _row_by_row(values: pa.Array) -> DecodedColumns:
    rows: list[int] = []
    documents: list[dict[str, Any]] = []
    failures: list[RowFailure] = []
    for row, value in enumerate(values.to_pylist()):
        if value is None:
            failures.append(RowFailure(row, NULL_VALUE))
            continue
        try:
            document = read_object(value)
        except RowFault as fault:
            failures.append(RowFailure(row, str(fault)))
            continue
        if _is_too_deep(document):
            failures.append(RowFailure(row, f"more than {NESTING_MAX} objects and lists within each other"))
            continue
        rows.append(row)
        documents.append(document)
    columns = pa.RecordBatch.from_struct_array(_objects(documents))
    return DecodedColumns(columns, np.array(rows, dtype=np.int64), failures)


def _is_too_deep(document: Mapping[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(NESTING_MAX):
        inner = [one for outer in level for one in (outer.values() if isinstance(outer, dict) else outer)]
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def _column(values: Sequence[Any]) -> pa.Array:
    """The narrowest of the types in the header of this file that holds all the values."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {dict}:
        return _objects(values)
    if kinds == {list}:
        return _lists(values)
    if kinds == {int} and all(value is None or INT64_LOW <= value <= INT64_HIGH for value in values):
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        try:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
        except OverflowError:  # a whole number of more than 308 digits
            return _texts(values)
    return _texts(values)


def _objects(values: Sequence[Mapping[str, Any] | None]) -> pa.StructArray:
    names = list(dict.fromkeys(name for value in values if value is not None for name in value))
    if not names:
        return pa.array(values, pa.struct([]))
    columns = [_column([None if value is None else value.get(name) for value in values]) for name in names]
    is_null = pa.array([value is None for value in values], pa.bool_())
    return pa.StructArray.from_arrays(columns, names=names, mask=is_null)


def _lists(values: Sequence[list[Any] | None]) -> pa.ListArray:
    ends = np.cumsum([0, *(len(value or ()) for value in values)]).astype(np.int32)
    items = _column([item for value in values if value is not None for item in value])
    is_null = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(ends), items, mask=is_null)


def _texts(values: Sequence[Any]) -> pa.Array:
    texts = [
        value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    ]
    return pa.array(texts, pa.string())
