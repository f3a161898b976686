"""What a converter is: values of records to typed columns, and the rows that could not be read. Contracts only."""

from typing import Protocol

import pyarrow as pa

from ...core.formats.api import DecodedColumns


class Converter(Protocol):
    def decode(self, values: pa.Array) -> DecodedColumns:
        """values: binary, shape (n,). Never raises for what a value holds."""
        ...
