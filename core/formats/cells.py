"""Arrow columns from what the scanners leave: 64 bits a value, strings as places in the data. Pure.

Callers: formats/json.py and formats/logs.py. Tests: theirs.
"""

from collections.abc import Container
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64s = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

NO_MORE: Final = np.frombuffer(b"", np.uint8)


class Cells(NamedTuple):
    """values[field, row] where valid[field, row] is 1: a double's bits, a string's place in `data` or `more`."""

    values: Int64s
    valid: Bytes
    data: Bytes
    more: Bytes = NO_MORE


def columns_of(schema: pa.Schema, cells: Cells, rows: Int64s, leave_out: Container[int] = ()) -> list[Any]:
    """An array for each field of the schema with the given rows, which grow; None for the fields left out."""
    arrays: list[Any] = [None] * len(schema.names)
    strings = []
    keep = slice(None) if len(rows) == cells.values.shape[1] else rows
    for index, field in enumerate(schema):
        if pa.types.is_string(field.type):
            strings.append(index)
        elif index not in leave_out:
            arrays[index] = _column(field.type, cells.values[index][keep], cells.valid[index][keep])
    for index, (ends, text) in zip(strings, _texts(strings, cells, rows), strict=True):
        validity, nulls = _validity(cells.valid[index][keep])
        buffers = [validity, pa.py_buffer(ends), pa.py_buffer(text)]
        arrays[index] = pa.Array.from_buffers(pa.string(), len(rows), buffers, nulls)
    return arrays


def _validity(valid: Bytes) -> tuple[Any, int]:
    nulls = len(valid) - int(np.count_nonzero(valid))
    return (pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None), nulls


def _column(kind: Any, values: Int64s, valid: Bytes) -> Any:
    validity, nulls = _validity(valid)
    if pa.types.is_boolean(kind):
        data: Any = np.packbits((values & valid).astype(np.uint8), bitorder="little")
    elif pa.types.is_float32(kind):
        with np.errstate(over="ignore", invalid="ignore"):
            data = values.view(np.float64).astype(np.float32)
    elif kind.bit_width == 64:
        data = values
    else:
        data = values.astype(kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(data)], nulls)


def _texts(indexes: list[int], cells: Cells, rows: Int64s) -> list[tuple[Any, Any]]:
    """Ends and text of each of the string columns."""
    from ..kernels.text import SLACK, Texts, gather_texts, size_texts

    if not indexes:
        return []
    texts = Texts(np.array(indexes, np.int64), cells.values, cells.valid, rows, cells.data, cells.more)
    sizes = np.empty(len(indexes), np.int64)
    size_texts(texts, sizes)
    stops = np.cumsum(sizes + SLACK)
    starts = stops - sizes - SLACK
    ends = np.empty((len(indexes), len(rows) + 1), np.int32)
    out = np.empty(int(stops[-1]), np.uint8)
    gather_texts(texts, starts, ends, out.ctypes.data)
    return [
        (ends[column], out[start : start + size])
        for column, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True))
    ]
