"""The headers file.path and file.offset of each line, as one Arrow column. Pure.

Tested in tests/connect/sources/test_files_task.py.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ....core.records import HEADER_TYPE
from .known import printable
from .lines import Lines

NAMES = pa.array(["file.path", "file.offset"])


def headers(path: str, lines: Lines) -> pa.Array:
    """file.path and file.offset of each line."""
    count = len(lines.starts)
    names = NAMES.take(_column(np.tile(np.array([0, 1], np.int32), count), pa.int32()))
    data = printable(path).encode()
    bounds = np.array([0, len(data)], np.int32)
    shown = pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(bounds), pa.py_buffer(data)])
    offsets = _column(lines.starts, pa.int64()).cast(pa.string()).cast(pa.binary())
    which = np.empty(2 * count, np.int64)
    which[0::2] = count
    which[1::2] = np.arange(count)
    values = pa.concat_arrays([offsets, shown]).take(_column(which, pa.int64()))
    pairs = pa.StructArray.from_arrays([names, values], fields=list(HEADER_TYPE))
    return pa.ListArray.from_arrays(_column(np.arange(0, 2 * count + 1, 2, dtype=np.int32), pa.int32()), pairs)


def _column(numbers: npt.NDArray[np.integer], type_: pa.DataType) -> pa.Array:
    """Without a copy; pa.array() looks for pandas at each call, which costs more than a short column does."""
    return pa.Array.from_buffers(type_, len(numbers), [None, pa.py_buffer(numbers)])
