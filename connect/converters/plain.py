"""Values as they are: one column `value` of text or bytes. Pure."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .converter import Converted, Failure


class PlainConverter:
    """Kafka Connect's StringConverter and ByteArrayConverter. A null value stays null."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind

    def decode(self, values: pa.Array) -> Converted:
        rows = np.arange(len(values), dtype=np.int64)
        try:
            column = values if values.type == self._kind else pc.cast(values, self._kind)
            return Converted(pa.RecordBatch.from_arrays([column], ["value"]), rows, ())
        except pa.ArrowInvalid:
            return self._one_by_one(values)

    def _one_by_one(self, values: pa.Array) -> Converted:
        good, texts, failures = [], [], []
        for row, value in enumerate(values.to_pylist()):
            try:
                texts.append(None if value is None else value.decode())
                good.append(row)
            except UnicodeDecodeError as error:
                failures.append(Failure(row, f"not UTF-8: {error.reason} at byte {error.start}"))
        columns = pa.RecordBatch.from_arrays([pa.array(texts, self._kind)], ["value"])
        return Converted(columns, np.array(good, dtype=np.int64), failures)
