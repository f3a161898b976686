"""Columns to JSON objects, one a row, with the column names as member names. Pure; API: formats/json.py.

Times are written as ms since 1970, nulls and non-finite floats as null, bytes as base64; nested values and rarer types
go one by one through msgspec. Tests: tests/core/formats/test_json_write.py.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import PlanError
from ..kernels import json_write as kernels
from ..kernels.arrow import as_binary
from ..kernels.double_text import CEILING_POWERS

ENCODED_BYTES_MAX: Final = 2**31 - 1
WASTE_BYTES_MAX: Final = 4096


def encode_columns(columns: pa.RecordBatch) -> Any:
    """One JSON object a row, as a pa.BinaryArray."""
    rows = columns.num_rows
    table, kept = _table(columns, tuple(columns.schema.names))
    if rows == 0:
        return pa.array([], pa.binary())
    room = kernels.room_needed(table, rows)
    if room > ENCODED_BYTES_MAX:
        raise PlanError(
            f"json: {rows} rows give about {room >> 20} MiB, more than 2 GiB; cut them into smaller batches"
        )
    ends = np.empty(rows + 1, np.int32)
    out = np.empty(room, np.uint8)
    used = kernels.write_rows(table, CEILING_POWERS, ends, out.ctypes.data)
    assert used <= room, "more was written than there was room for"
    del kept
    if room - used > max(WASTE_BYTES_MAX, used // 4):
        out = out[:used].copy()
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(ends), pa.py_buffer(out)], 0)


def _table(columns: pa.RecordBatch, names: tuple[str, ...]) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """The table that the kernels read, and what has to stay alive meanwhile, since it holds addresses."""
    prefixes, places = _prefixes(names)
    arrays = [_plain(array) for array in columns.columns]
    rows = []
    for (array, kind), (prefix, size) in zip(arrays, places, strict=True):
        buffers = array.buffers()
        validity = _address(buffers[0]) if array.null_count else 0
        data = _address(buffers[2]) if len(buffers) > 2 else 0
        rows.append((kind, _address(buffers[1]), data, validity, array.offset, prefix, size))
    return np.array(rows, np.int64), [prefixes, arrays]


@lru_cache(maxsize=256)
def _prefixes(names: tuple[str, ...]) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]:
    """What stands before each value, and its address and size there."""
    if not names or len(set(names)) < len(names):
        raise PlanError(
            f"json: columns {list(names)} cannot be written; an object needs members, each with its own name"
        )
    texts = [(b"," if index else b"{") + msgspec.json.encode(name) + b":" for index, name in enumerate(names)]
    joined = np.frombuffer(b"".join(texts), np.uint8)
    at, places = joined.ctypes.data, []
    for text in texts:
        places.append((at, len(text)))
        at += len(text)
    return joined, places


def _address(buffer: Any) -> int:
    return 0 if buffer is None else int(buffer.address)


def _plain(array: Any) -> tuple[Any, int]:
    """The column as an array that the kernels write, and its kind there."""
    kind = array.type
    if pa.types.is_string(kind):
        return array, kernels.TEXT
    if pa.types.is_int64(kind):
        return array, kernels.INTEGER
    if pa.types.is_float64(kind):
        return array, kernels.DOUBLE
    if pa.types.is_boolean(kind):
        return array, kernels.BOOLEAN
    if pa.types.is_timestamp(kind):
        return (array if kind.unit == "ms" else array.cast(pa.timestamp("ms", kind.tz), safe=False)), kernels.INTEGER
    return _rarer(array, kind)


def _rarer(array: Any, kind: Any) -> tuple[Any, int]:
    if pa.types.is_dictionary(kind):
        _check_decoded_size(array)
        return _plain(array.dictionary_decode())
    if pa.types.is_uint64(kind):
        return array.cast(pa.string()), kernels.RAW
    if pa.types.is_integer(kind):
        return array.cast(pa.int64()), kernels.INTEGER
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return as_binary(array, "text"), kernels.TEXT
    if pa.types.is_date(kind):
        return array.cast(pa.string()), kernels.TEXT
    if pa.types.is_float32(kind):
        return _float32_texts(array), kernels.RAW
    texts = [None if value is None else msgspec.json.encode(value) for value in array.to_pylist()]
    written = pa.array(texts, pa.binary())
    if isinstance(written, pa.ChunkedArray):  # So Arrow gives what does not fit into one array.
        raise _too_large(array)
    return written, kernels.RAW


def _too_large(array: Any) -> PlanError:
    return PlanError(
        f"json: a column of {len(array)} rows of {array.type} holds more than 2 GiB; cut them into smaller batches"
    )


def _check_decoded_size(array: Any) -> None:
    """A few texts of a dictionary can be many gigabytes of rows; Arrow's own error speaks of its inner workings."""
    kind = array.type.value_type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        import pyarrow.compute as pc

        sizes = pc.binary_length(array.dictionary).cast(pa.int64()).take(array.indices)
        if (pc.sum(sizes).as_py() or 0) > ENCODED_BYTES_MAX:
            raise _too_large(array)


def _float32_texts(array: Any) -> Any:
    """As few digits as give the same float32 again, a point or an exponent among them, since Arrow writes 2.0 as 2."""
    import pyarrow.compute as pc

    texts = pc.if_else(pc.is_finite(array), array, None).cast(pa.string())
    return pc.replace_substring_regex(texts, r"^(-?\d+)$", r"\1.0")
