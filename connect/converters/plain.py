"""Values as they are: one column `value` of text or bytes. Pure.

Tested in tests/connect/test_converters.py.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.formats.api import DecodedColumns, RowFailure


class PlainConverter:
    """Kafka Connect's StringConverter and ByteArrayConverter. A null value stays null."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind

    def decode(self, values: pa.Array) -> DecodedColumns:
        rows = np.arange(len(values), dtype=np.int64)
        try:
            column = values if values.type == self._kind else pc.cast(values, self._kind)
            return DecodedColumns(pa.RecordBatch.from_arrays([column], ["value"]), rows, [])
        except pa.ArrowInvalid:
            return self._one_by_one(values)

    def _one_by_one(self, values: pa.Array) -> DecodedColumns:
        good, texts, failures = [], [], []
        for row, value in enumerate(values.to_pylist()):
            try:
                texts.append(None if value is None else value.decode())
                good.append(row)
            except UnicodeDecodeError as error:
                failures.append(RowFailure(row, f"not UTF-8: {error.reason} at byte {error.start}"))
        columns = pa.RecordBatch.from_arrays([pa.array(texts, self._kind)], ["value"])
        return DecodedColumns(columns, np.array(good, dtype=np.int64), failures)
