"""What a converter is: values of records to typed columns, and the rows that could not be read. Contracts only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that could not be read. row: its place in what was given."""

    row: int
    cause: str


@dataclass(frozen=True, slots=True)
class Converted:
    """rows: shape (columns.num_rows,), int64: the place of each good row in what was given."""

    columns: pa.RecordBatch
    rows: npt.NDArray[np.int64]
    failures: Sequence[Failure]


class Converter(Protocol):
    def decode(self, values: pa.Array) -> Converted:
        """values: binary, shape (n,)."""
        ...
