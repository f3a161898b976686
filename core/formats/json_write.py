"""Columns to JSON objects, one a row, with the column names as member names. Pure; API: formats/json.py.

Times are written as ms since 1970, nulls and non-finite floats as null, bytes as base64; nested values and rarer types
go one by one through msgspec. Tests: tests/core/formats/test_json_write.py.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import PlanError
from ..kernels import json_write as kernels
from ..kernels.arrow import BinaryBuffers, binary_buffers, read_only, validity_of

MOST_BYTES = 2**31 - 1


class _Integers(NamedTuple):
    values: npt.NDArray[np.int64]
    kind: int
    validity: npt.NDArray[np.uint8]
    first_bit: int


class _Texts(NamedTuple):
    column: BinaryBuffers
    is_quoted: bool


def encode_columns(columns: pa.RecordBatch) -> Any:
    """One JSON object a row, as a pa.BinaryArray."""
    names = columns.schema.names
    if not names or len(set(names)) < len(names):
        raise PlanError(f"json: columns {names} cannot be written; an object needs members, each with its own name")
    prefixes = [_prefix(index, name) for index, name in enumerate(names)]
    prepared = [_prepared(columns.column(index), name) for index, name in enumerate(names)]
    sizes = np.full(columns.num_rows, 1 + sum(len(prefix) for prefix in prefixes), np.int64)
    for column in prepared:
        if isinstance(column, _Integers):
            kernels.add_integer_sizes(*column, sizes)
        else:
            kernels.add_text_sizes(*column, sizes)
    ends = np.zeros(columns.num_rows + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    if ends[-1] > MOST_BYTES:
        raise PlanError(f"json: {columns.num_rows} rows give more than 2 GiB; cut them into smaller batches")
    out = np.empty(int(ends[-1]), np.uint8)
    cursors = ends[:-1].copy()
    for prefix, column in zip(prefixes, prepared, strict=True):
        if isinstance(column, _Integers):
            kernels.write_integers(*column, prefix, cursors, out.ctypes.data)
        else:
            kernels.write_texts(*column, prefix, cursors, out.ctypes.data)
    kernels.close_rows(cursors, out.ctypes.data)
    assert np.array_equal(cursors, ends[1:]), "the sizes and the text written differ"
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(out)]
    return pa.Array.from_buffers(pa.binary(), columns.num_rows, buffers, 0)


def _prefix(index: int, name: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer((b"," if index else b"{") + msgspec.json.encode(name) + b":", np.uint8)


def _prepared(array: Any, name: str) -> _Integers | _Texts:
    """The column as what the kernels write: integers, text to quote, or text as it is."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _prepared(array.dictionary_decode(), name)
    if pa.types.is_uint64(kind):
        return _Texts(binary_buffers(array.cast(pa.string()), name), False)
    if pa.types.is_integer(kind):
        return _integers(array.cast(pa.int64()), kernels.NUMBERS)
    if pa.types.is_boolean(kind):
        return _integers(array.cast(pa.int64()), kernels.BOOLEANS)
    if pa.types.is_timestamp(kind):
        return _integers(array.cast(pa.timestamp("ms", kind.tz), safe=False).view(pa.int64()), kernels.NUMBERS)
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return _Texts(binary_buffers(_float_texts(array), name), False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _Texts(binary_buffers(array, name), True)
    if pa.types.is_date(kind):
        return _Texts(binary_buffers(array.cast(pa.string()), name), True)
    texts = [None if value is None else msgspec.json.encode(value) for value in array.to_pylist()]
    return _Texts(binary_buffers(pa.array(texts, pa.binary()), name), False)


def _integers(array: Any, kind: int) -> _Integers:
    values = read_only(array.buffers()[1], np.int64)[array.offset : array.offset + len(array)]
    return _Integers(values, kind, validity_of(array), array.offset)


def _float_texts(array: Any) -> Any:
    """The shortest text that gives the same number back; polars is three times as fast here as pyarrow."""
    import polars as pl

    finite = pc.is_finite(array)
    if not pc.all(finite).as_py() and len(array):
        array = pc.if_else(finite, array, pa.scalar(None, array.type))
    return pl.Series(array).cast(pl.String).to_arrow()
