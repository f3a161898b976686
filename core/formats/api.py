"""What a format is: bytes of records to typed columns and back, with the rows that do not fit told apart. Pure.

A format is made once, checks its arguments then, and is used from several threads.
Tested in tests/core/formats.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NULL_VALUE = "null value"


class RowFailure(NamedTuple):
    """A row of the input that the format could not read, and why, in words for a dead-letter header."""

    row: int
    cause: str


@dataclass(frozen=True, slots=True)
class DecodedColumns:
    """The good rows as typed columns, their places in the input, and the rows that failed, both in order."""

    columns: pa.RecordBatch
    rows: npt.NDArray[np.int64]
    failures: list[RowFailure]


class Format(Protocol):
    """Bytes <-> typed columns."""

    @property
    def schema(self) -> pa.Schema:
        """The columns that decode gives."""
        ...

    def decode(self, values: Any) -> DecodedColumns:
        """Typed columns of `values`, a pa.Array of binary. Never raises for what a record holds."""
        ...

    def encode(self, columns: pa.RecordBatch) -> Any:
        """One value for each row of `columns`, as a pa.BinaryArray. Raises PlanError for columns it cannot write."""
        ...


def good_rows(rows: int, failures: list[RowFailure]) -> npt.NDArray[np.int64]:
    """Places in the input of the rows that did not fail."""
    every = np.arange(rows, dtype=np.int64)
    return np.delete(every, [failure.row for failure in failures]) if failures else every
