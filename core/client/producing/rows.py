"""Gathers single rows into columns, for code that produces row by row. Pure; shell: producer.py.

Tests: tests/core/client/test_rows.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Headers = Sequence[tuple[str, bytes | None]]
ROW_OVERHEAD_BYTES = 16


@dataclass(slots=True)
class RowBuffer:
    """Rows for one topic, and for one partition or for whichever their keys say (None)."""

    topic: str
    partition: int | None
    due_ms: int
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    timestamps: list[int | None] = field(default_factory=list)
    headers: list[list[dict[str, Any]]] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)
    size_bytes: int = 0

    def add(
        self, key: bytes | None, value: bytes | None, timestamp_ms: int | None, headers: Headers, token: Any
    ) -> None:
        self.keys.append(key)
        self.values.append(value)
        self.timestamps.append(timestamp_ms)
        self.headers.append([{"key": name, "value": content} for name, content in headers])
        self.tokens.append(token)
        self.size_bytes += len(key or b"") + len(value or b"") + ROW_OVERHEAD_BYTES
        self.size_bytes += sum(len(name) + len(content or b"") for name, content in headers)

    def columns(self) -> Any:
        """The rows as an Arrow batch that Producer.send() takes."""
        import pyarrow as pa

        from ...records import HEADER_TYPE

        return pa.record_batch(
            {
                "key": pa.array(self.keys, pa.binary()),
                "value": pa.array(self.values, pa.binary()),
                "timestamp": pa.array(self.timestamps, pa.timestamp("ms")),
                "headers": pa.array(self.headers, pa.list_(HEADER_TYPE)),
            }
        )


class RowBuffers:
    """All rows that wait for company."""

    def __init__(self, *, batch_bytes: int, linger_ms: int) -> None:
        self._batch_bytes = batch_bytes
        self._linger_ms = linger_ms
        self._open: dict[tuple[str, int | None], RowBuffer] = {}

    def buffer(self, topic: str, partition: int | None, now_ms: int) -> RowBuffer:
        """The buffer that a row goes to; a new one is due after the linger time."""
        found = self._open.get((topic, partition))
        if found is None:
            found = self._open[topic, partition] = RowBuffer(topic, partition, now_ms + self._linger_ms)
        return found

    def take_full(self, buffer: RowBuffer) -> bool:
        """Whether a buffer has reached the batch size; if so it is closed."""
        if buffer.size_bytes < self._batch_bytes:
            return False
        del self._open[buffer.topic, buffer.partition]
        return True

    def take_due(self, now_ms: int | None) -> list[RowBuffer]:
        """Close and return the buffers whose linger time is over; all of them without a time."""
        due = [buffer for buffer in self._open.values() if now_ms is None or buffer.due_ms <= now_ms]
        for buffer in due:
            del self._open[buffer.topic, buffer.partition]
        return due

    def next_due_ms(self) -> int | None:
        return min((buffer.due_ms for buffer in self._open.values()), default=None)
