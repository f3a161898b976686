"""Values as they are, in one binary column. A null value stays null. Pure. Tests: tests/core/formats/test_text.py."""

from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import PlanError
from ..kernels.arrow import as_binary
from .api import DecodedColumns


class RawFormat:
    """Each value unread."""

    def __init__(self, column: str = "value") -> None:
        if not column:
            raise PlanError("raw: column is empty; name the column that holds the bytes")
        self.schema = pa.schema([(column, pa.binary())])

    def decode(self, values: Any) -> DecodedColumns:
        columns = pa.RecordBatch.from_arrays([as_binary(values, "value")], schema=self.schema)
        return DecodedColumns(columns, np.arange(len(values), dtype=np.int64), [])

    def encode(self, columns: pa.RecordBatch) -> Any:
        return only_column(columns, self.schema.names[0], "raw")


def only_column(columns: pa.RecordBatch, name: str, format_name: str) -> Any:
    """The column that becomes the value: the one called `name`, else the only one there is, as binary."""
    index = columns.schema.get_field_index(name)
    if index < 0 and columns.num_columns != 1:
        raise PlanError(
            f"{format_name}: it writes the column {name}, and there are {', '.join(columns.schema.names) or 'none'}; "
            f"select one column or name it {name}"
        )
    return as_binary(columns.column(max(index, 0)), columns.schema.names[max(index, 0)])
