"""Arrow arrays as the numpy buffers that kernels take, and back. Pure.

Fixed-width values become int64 or float64; a validity of length 0 stands for "no nulls". Tests:
tests/streams/test_state.py.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Float64s = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
Ends = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Weights = npt.NDArray[np.int64] | npt.NDArray[np.uint8]

MOST_BYTES = 2**31 - 1
ALL_VALID: Bytes = np.zeros(0, np.uint8)
NO_BYTES: Bytes = np.zeros(0, np.uint8)


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are of variable length, as strings and bytes are."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary_view(kind)
    )


def plain(array: pa.Array) -> pa.Array:
    """The same values without dictionaries or views, whose layout kernels do not know."""
    if pa.types.is_dictionary(array.type):
        return plain(array.cast(array.type.value_type))
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    if pa.types.is_binary_view(array.type):
        return array.cast(pa.large_binary())
    return array


def validity(array: pa.Array) -> Bytes:
    """One byte for each row, 1 where it is not null; empty when no row is null."""
    if array.null_count == 0:
        return ALL_VALID
    valid: Bytes = pc.is_valid(array).to_numpy(zero_copy_only=False).view(np.uint8)
    return valid


def text_parts(array: pa.Array) -> tuple[Int32s | Int64s, Bytes]:
    """Offsets (n + 1) into the bytes, and the bytes, of a string or binary array."""
    array = plain(array)
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    width = np.dtype(np.int64 if large else np.int32)
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return np.zeros(len(array) + 1, width), NO_BYTES
    ends = np.frombuffer(offsets, width, len(array) + 1, array.offset * width.itemsize)
    return ends, (np.frombuffer(data, np.uint8) if data is not None else NO_BYTES)


def integers(array: pa.Array) -> Int64s:
    """Integers, booleans, dates and timestamps as int64, in their own unit; 0 where null."""
    array = plain(array)
    kind = array.type
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        array = array.cast(pa.int32())
    values = array.cast(pa.int64())
    if values.null_count:
        values = values.fill_null(0)
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False), np.int64)


def floats(array: pa.Array) -> Float64s:
    """Floats as float64; 0.0 where null."""
    values = plain(array).cast(pa.float64(), safe=False)  # whole numbers beyond 2**53 lose digits, not the row
    if values.null_count:
        values = values.fill_null(0.0)
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False), np.float64)


def binary_array(offsets: Int64s, data: Bytes, kind: pa.DataType | None = None, valid: Bytes = ALL_VALID) -> pa.Array:
    """A string or binary array over these buffers; `offsets` has one entry more than there are rows.

    Raises ValueError for more bytes than the offsets of `kind` (binary when None) can count.
    """
    kind = pa.binary() if kind is None else kind
    large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    if not large and offsets[-1] > MOST_BYTES:
        raise ValueError(f"a column of {int(offsets[-1])} bytes: {kind} holds {MOST_BYTES}; commit more often")
    ends = offsets if large else offsets.astype(np.int32)
    count = offsets.size - 1
    bitmap, nulls = None, 0
    if valid.size:
        nulls = count - int(valid.sum())
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, count, [bitmap, pa.py_buffer(ends), pa.py_buffer(data)], nulls)


def integer_array(values: Int64s, kind: pa.DataType, valid: Bytes = ALL_VALID) -> pa.Array:
    """int64 values as the type they came from (see `integers`)."""
    mask = None if valid.size == 0 else valid == 0
    plain_values = pa.array(values, pa.int64(), mask=mask)
    if pa.types.is_boolean(kind):
        return plain_values.cast(pa.int8()).cast(kind)
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return plain_values.cast(pa.int32()).cast(kind)
    return plain_values.cast(kind)


def grown(array: Any, size: int) -> Any:
    """A copy with room for `size` entries; the new ones are zero."""
    larger = np.zeros(size, array.dtype)
    larger[: array.size] = array
    return larger
