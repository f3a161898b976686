"""What a task wants written at its next commit. Pure values. Tests: tests/dsl/test_topology.py."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Output:
    """Records for a topic: columns key and value, and timestamp and headers where they matter.

    partition: one for all, one for each row, or None: by the hash of the key, as Kafka's default partitioner.
    """

    topic: str
    columns: pa.RecordBatch
    partition: int | npt.NDArray[np.int32] | None = None
