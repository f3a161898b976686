"""The columns that a topic's files have: declared, or found in the first rows and kept from then on. Pure.

Widening, when types were not declared: a new field becomes a new column; an empty column takes the first type that
comes; whole numbers become wider ones; whole numbers and fractions become float64; two kinds of time become the finer;
anything else becomes text, in which nested values stand as JSON. A type never narrows and a column never goes away;
a Parquet file is without the columns that are still empty (encodings.py).
Tested in tests/connect/sinks/test_types.py.
"""

import json

import pyarrow as pa
import pyarrow.compute as pc


def widened(known: pa.Schema, seen: pa.Schema) -> pa.Schema:
    """The narrowest schema that holds the rows of both; columns of `known` first and in their order."""
    fields = {field.name: field.type for field in known}
    for field in seen:
        fields[field.name] = _wider(fields[field.name], field.type) if field.name in fields else field.type
    return pa.schema(list(fields.items()))


def _wider(known: pa.DataType, seen: pa.DataType) -> pa.DataType:
    if known == seen or pa.types.is_null(seen):
        return known
    if pa.types.is_null(known):
        return seen
    if pa.types.is_struct(known) and pa.types.is_struct(seen):
        return pa.struct(list(widened(pa.schema(list(known)), pa.schema(list(seen)))))
    if _is_list(known) and _is_list(seen):
        return pa.list_(_wider(known.value_type, seen.value_type))
    both = (known, seen)
    if all(pa.types.is_integer(one) for one in both):
        return pa.int64()
    if all(pa.types.is_integer(one) or pa.types.is_floating(one) for one in both):
        return pa.float64()
    if all(pa.types.is_timestamp(one) or pa.types.is_date(one) for one in both):
        return pa.timestamp("us", tz="UTC")
    return pa.string()


def _is_list(kind: pa.DataType) -> bool:
    """Types that were kept by earlier versions say large_list."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def conformed(columns: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows with exactly the columns of `schema`; a column that they lack is null. `schema` must be wide enough."""
    if columns.schema.equals(schema):
        return columns
    arrays = []
    for field in schema:
        if field.name in columns.schema.names:
            arrays.append(_cast(columns.column(field.name), field.type))
        else:
            arrays.append(pa.nulls(columns.num_rows, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def as_text(array: pa.Array) -> pa.Array:
    """The values as text; nested ones as JSON."""
    return _cast(array, pa.string())


def _cast(array: pa.Array, to: pa.DataType) -> pa.Array:
    if array.type == to:
        return array
    if pa.types.is_null(array.type) or pa.types.is_null(to):
        return pa.nulls(len(array), to)
    if pa.types.is_string(to) and pa.types.is_nested(array.type):
        return pa.array([None if row is None else json.dumps(row, default=str) for row in array.to_pylist()], to)
    if pa.types.is_struct(to):
        there = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
        columns = [
            _cast(there[field.name], field.type) if field.name in there else pa.nulls(len(array), field.type)
            for field in to
        ]
        return pa.StructArray.from_arrays(columns, fields=list(to), mask=array.is_null())
    if pa.types.is_list(to):
        values = _cast(array.flatten(), to.value_type)
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
        return pa.ListArray.from_arrays(offsets, values, mask=array.is_null())
    if pa.types.is_string(to) and pa.types.is_binary(array.type):  # bytes that are no UTF-8 are written as \xff
        return pa.array(
            [None if row is None else row.decode(errors="backslashreplace") for row in array.to_pylist()], to
        )
    return pc.cast(array, to, safe=not pa.types.is_floating(to))  # large whole numbers lose digits, never the row


def encode_schema(schema: pa.Schema) -> bytes:
    """For people to read, and for decode_schema."""
    shown = {field.name: str(field.type) for field in schema}
    arrow = schema.serialize().to_pybytes().hex()
    return json.dumps({"columns": shown, "arrow": arrow}, indent=2).encode()


def decode_schema(data: bytes) -> pa.Schema:
    """Raises ValueError for anything that encode_schema did not write."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(json.loads(data)["arrow"])))
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
