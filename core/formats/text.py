"""Values that are lines of UTF-8 text, in one string column. Pure. Tests: tests/core/formats/test_text.py."""

from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import PlanError
from ..kernels.arrow import binary_buffers, read_only
from .api import NULL_VALUE, DecodedColumns, RowFailure, good_rows
from .encodings import REMEDY
from .raw import only_column


class TextFormat:
    """Each value as one string; one that is null or not UTF-8 fails."""

    def __init__(self, column: str = "line") -> None:
        if not column:
            raise PlanError("text: column is empty; name the column that holds the text")
        self.schema = pa.schema([(column, pa.string())])

    def decode(self, values: Any) -> DecodedColumns:
        texts, failures = text_of(values)
        rows = good_rows(len(values), failures)
        if failures:
            texts = texts.take(pa.array(rows))
        return DecodedColumns(pa.RecordBatch.from_arrays([texts], schema=self.schema), rows, failures)

    def encode(self, columns: pa.RecordBatch) -> Any:
        return only_column(columns, self.schema.names[0], "text")


def text_of(values: Any) -> tuple[Any, list[RowFailure]]:
    """The values as a string array, in which those that are null or not UTF-8 are null, and the failures."""
    from ..kernels.text import mark_bad_text

    buffers = binary_buffers(values, "value")
    rows = len(values)
    is_bad = np.zeros(rows, np.uint8)
    count = mark_bad_text(buffers.ends, buffers.data, is_bad)
    valid = None
    if values.null_count:
        valid = np.unpackbits(buffers.validity, bitorder="little")[buffers.first_bit : buffers.first_bit + rows]
        is_bad |= 1 - valid
    if not count and valid is None:
        return _strings(buffers.ends, buffers.data, None, 0), []
    bad = np.flatnonzero(is_bad).tolist()
    failures = [RowFailure(row, _cause(values[row].as_py())) for row in bad]
    return _strings(buffers.ends, buffers.data, np.packbits(1 - is_bad, bitorder="little"), len(bad)), failures


def _strings(ends: Any, data: Any, validity: Any, nulls: int) -> Any:
    bitmap = None if validity is None else pa.py_buffer(read_only(validity, np.uint8))
    return pa.Array.from_buffers(pa.string(), len(ends) - 1, [bitmap, pa.py_buffer(ends), pa.py_buffer(data)], nulls)


def _cause(value: bytes | str | None) -> str:
    if value is None:
        return NULL_VALUE
    try:
        _ = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        return f"not UTF-8: {error.reason} at byte {error.start}; {REMEDY}"
    raise AssertionError("the kernel and Python disagree on UTF-8")
