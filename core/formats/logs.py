"""The common and combined log formats of Apache and nginx as typed columns. Pure.

Texts are kept as they were logged, escapes included; a lone dash is null. A request that is not
`METHOD target [HTTP/x]`, such as the first bytes of a TLS handshake, is a path without a method.
Tests: tests/core/formats/test_logs.py.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa

from ..errors import PlanError
from ..kernels.arrow import binary_buffers
from .api import DecodedColumns, RowFailure, good_rows
from .cells import Cells, columns_of
from .encodings import REMEDY

NOT_UTF8: Final = "not UTF-8"
OTHER_FIELDS: Final = ("text after the last field", "more than host, identity and user before the time")
COMMON_FIELDS: Final = (
    ("host", pa.string()),
    ("identity", pa.string()),
    ("user", pa.string()),
    ("time", pa.timestamp("ms", tz="UTC")),
    ("method", pa.string()),
    ("path", pa.string()),
    ("protocol", pa.string()),
    ("status", pa.int16()),
    ("bytes", pa.int64()),
)
COMBINED_FIELDS: Final = (*COMMON_FIELDS, ("referer", pa.string()), ("agent", pa.string()))


class LogFormat:
    """Lines of the common log format, or of the combined one, which adds referer and agent."""

    def __init__(self, name: str) -> None:
        if name not in ("common", "combined"):
            raise PlanError(f"log format {name!r} is not known; use 'common' or 'combined'")
        self.name = name
        self.schema = pa.schema(COMBINED_FIELDS if name == "combined" else COMMON_FIELDS)

    def decode(self, values: Any) -> DecodedColumns:
        from ..kernels import log_scan

        lines = binary_buffers(values, "value")
        cells = np.empty((log_scan.COLUMNS, len(values)), np.int64)
        valid = np.zeros((log_scan.COLUMNS, len(values)), np.uint8)
        faults = np.empty(len(values), np.uint8)
        count = log_scan.scan_lines(lines, self.name == "combined", cells, valid, faults)
        failures = []
        if count:
            bad = np.flatnonzero(faults)
            causes = [self._cause(fault) for fault in log_scan.FAULTS]
            failures = [RowFailure(row, causes[fault]) for row, fault in zip(bad.tolist(), faults[bad].tolist(),
                                                                             strict=True)]  # fmt: skip
        rows = good_rows(len(values), failures)
        arrays = columns_of(self.schema, Cells(cells, valid, lines.data), rows)
        return DecodedColumns(pa.RecordBatch.from_arrays(arrays, schema=self.schema), rows, failures)

    def _cause(self, fault: str) -> str:
        if fault == NOT_UTF8:
            return f"{fault}; {REMEDY}"
        if fault in OTHER_FIELDS:
            combined = "ms.combined_log() reads a referer and an agent, " if self.name == "common" else ""
            return f"{self.name} log: {fault}; {combined}ms.regex(pattern) reads formats with other fields"
        return f"{self.name} log: {fault}" if fault.startswith("no ") else fault

    def encode(self, columns: pa.RecordBatch) -> Any:
        raise PlanError(f"columns {', '.join(columns.schema.names)} cannot be written as log lines; use json or text")


def combined_log() -> LogFormat:
    """Format of `%h %l %u [%t] "%r" %>s %b "%{Referer}i" "%{User-agent}i"`."""
    return LogFormat("combined")


def common_log() -> LogFormat:
    """Format of `%h %l %u [%t] "%r" %>s %b`."""
    return LogFormat("common")
