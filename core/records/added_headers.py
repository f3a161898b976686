"""Headers added behind those that records have, column by column. Pure.

Callers: the dead letters of connect and streams. Tests: tests/core/records/test_added_headers.py.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .columns import HEADER_TYPE

Int64s = npt.NDArray[np.int64]


def with_headers(own: Any, added: Sequence[tuple[str, Any]]) -> Any:
    """A headers column with `added` behind the headers of each row.

    own: a pa.ListArray of HEADER_TYPE; null is no headers. added: name, and a pa.Array of text or bytes with a value a
    row, or the text that all rows get.
    """
    rows = len(own)
    lengths = own.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    held = own.flatten()
    starts = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths + len(added), out=starts[1:])
    names = np.empty(int(starts[-1]), np.int64)
    values = np.empty_like(names)
    is_own = np.ones(names.size, np.bool_)
    pieces = [held.field("value")]
    end = len(held)
    for index, (_, value) in enumerate(added):
        places = starts[1:] - len(added) + index
        is_own[places] = False
        names[places] = len(held) + index
        piece = _binary(value)
        values[places] = end + np.arange(rows) if isinstance(value, pa.Array) else end
        pieces.append(piece)
        end += len(piece)
    names[is_own] = values[is_own] = np.arange(len(held))
    all_names = pa.concat_arrays([held.field("key"), pa.array([name for name, _ in added], pa.string())])
    columns = [all_names.take(pa.array(names)), pa.concat_arrays(pieces).take(pa.array(values))]
    items = pa.StructArray.from_arrays(columns, fields=list(HEADER_TYPE))
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), items).cast(pa.list_(HEADER_TYPE))


def _binary(value: Any) -> Any:
    """One piece of the values: a row's each, or the one of all rows."""
    if isinstance(value, pa.Array):
        return value.cast(pa.binary())
    return pa.array([value.encode()], pa.binary())
