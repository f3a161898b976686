"""Values as they are: one column `value` of text or bytes. Pure.

Tested in tests/connect/test_converters.py.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.formats.api import DecodedColumns, RowFailure
from ...core.formats.encodings import UTF8, single_bytes, to_utf8

REMEDY = "if it is text in another encoding, name that, such as value.converter.converter.encoding=ISO-8859-1"


class PlainConverter:
    """Kafka Connect's StringConverter and ByteArrayConverter. A null value stays null."""

    def __init__(self, kind: pa.DataType, encoding: str = UTF8) -> None:
        """encoding: of values that become text, by Python's name."""
        self._kind = kind
        self._encoding = encoding
        self._table = None if encoding == UTF8 else single_bytes(encoding)

    def decode(self, values: pa.Array) -> DecodedColumns:
        if self._encoding == UTF8:
            return self._of_utf8(values)
        texts, faults = to_utf8(values, self._encoding, self._table)
        good = np.delete(np.arange(len(values), dtype=np.int64), list(faults))
        columns = self._of_utf8(texts.take(pa.array(good))).columns
        return DecodedColumns(columns, good, [RowFailure(row, cause) for row, cause in sorted(faults.items())])

    def _of_utf8(self, values: pa.Array) -> DecodedColumns:
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
                failures.append(RowFailure(row, f"not UTF-8: {error.reason} at byte {error.start}; {REMEDY}"))
        columns = pa.RecordBatch.from_arrays([pa.array(texts, self._kind)], ["value"])
        return DecodedColumns(columns, np.array(good, dtype=np.int64), failures)
