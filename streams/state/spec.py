"""What a store aggregates, as a value: the schema of its results, the fingerprint of its state. Pure.

Apart from store.py so that plans can be built and described without loading kernels. Tests: tests/dsl/test_topology.py.
"""

from dataclasses import dataclass

import pyarrow as pa

from ..aggregates import Aggregate, result_type
from ..windows import Window

WINDOW_START, WINDOW_END = "window_start", "window_end"


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """What a store aggregates. `inputs` is the schema of the rows it is given."""

    inputs: pa.Schema
    group: tuple[str, ...]
    window: Window | None
    aggregates: tuple[tuple[str, Aggregate], ...]

    @property
    def group_kinds(self) -> list[pa.DataType]:
        return [self.inputs.field(name).type for name in self.group]

    def result_schema(self, where: str) -> pa.Schema:
        """Group columns, window bounds in ms, aggregates."""
        fields = [self.inputs.field(name) for name in self.group]
        if self.window is not None:
            fields += [pa.field(WINDOW_START, pa.int64()), pa.field(WINDOW_END, pa.int64())]
        for name, aggregate in self.aggregates:
            fields.append(pa.field(name, result_type(name, aggregate, self.inputs, where)))
        return pa.schema(fields)

    def fingerprint(self) -> str:
        """What the stored state depends on; state of another fingerprint cannot be read."""
        group = ",".join(f"{name}:{self.inputs.field(name).type}" for name in self.group)
        window = f"{self.window.size_ms}/{self.window.advance_ms}" if self.window is not None else "none"
        parts = [
            f"{name}={aggregate.kind}({aggregate.column}:{self.inputs.field(aggregate.column).type}"
            f",{aggregate.exact_up_to})"
            if aggregate.column is not None
            else f"{name}={aggregate.kind}()"
            for name, aggregate in self.aggregates
        ]
        return f"group {group}; window {window}; {'; '.join(parts)}"
