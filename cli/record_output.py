"""How `millstream consume` shows records: as text, JSON lines, hexadecimal dumps, or a Parquet file. Shell.

Tested in tests/cli/test_consume.py.
"""

import base64
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.errors import ConfigError
from ..core.records import Records, Row
from .console import counted, say
from .options import time_text

FORMATS = ("text", "json", "hex", "parquet")
HEX_BYTES = 16


class Output(Protocol):
    """Where records go, batch by batch."""

    def write(self, records: Records) -> None: ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


@dataclass(frozen=True, slots=True)
class TextColumns:
    """What stands before the value in text, each followed by a tab."""

    timestamp: bool = False
    position: bool = False
    headers: bool = False
    key: bool = False


def open_output(form: str, file: str, columns: TextColumns) -> Output:
    """Raises ConfigError where the format and the rest do not go together, or the file cannot be written."""
    if form not in FORMATS:
        raise ConfigError(f"--format={form}: must be one of {', '.join(FORMATS)}")
    if form == "parquet":
        return _Parquet(file)
    if file:
        raise ConfigError(f"--output={file}: goes with --format parquet; send other formats on with > {file}")
    if form == "text":
        return _Lines(lambda records: _text_lines(records, columns))
    return _Lines(_json_lines if form == "json" else _hex_lines)


class _Lines:
    """Lines on standard output."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines

    def write(self, records: Records) -> None:
        text = "\n".join(self._lines(records))
        if records.num_rows:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def close(self) -> None:
        """Everything is written already."""


def _text_lines(records: Records, columns: TextColumns) -> Iterator[str]:
    for row in records.rows():
        parts = []
        if columns.timestamp:
            parts.append(time_text(row.timestamp_ms) if row.timestamp_ms >= 0 else "-")
        if columns.position:
            parts.append(f"{records.partition}:{row.offset}")
        if columns.headers:
            parts.append(",".join(f"{name}={_plain(value)}" for name, value in row.headers))
        if columns.key:
            parts.append(_plain(row.key))
        yield "\t".join((*parts, _plain(row.value)))


def _plain(data: bytes | None) -> str:
    return "" if data is None else data.decode(errors="replace")


def _json_lines(records: Records) -> Iterator[str]:
    for row in records.rows():
        yield json.dumps(
            {
                "partition": records.partition,
                "offset": row.offset,
                "timestamp": row.timestamp_ms,
                "key": _shown(row.key),
                "value": _shown(row.value),
                "headers": [[name, _shown(value)] for name, value in row.headers],
            }
        )


def _shown(data: bytes | None) -> object:
    """Text as it is; other bytes as {"base64": ...}."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _hex_lines(records: Records) -> Iterator[str]:
    for row in records.rows():
        yield f"{records.topic}-{records.partition} offset {row.offset} {_hex_time(row)}"
        for name, value in row.headers:
            yield f"  header {name}: {_hex_or_null(value)}"
        yield f"  key: {_hex_or_null(row.key)}"
        if row.value is None:
            yield "  value: null"
            continue
        yield f"  value: {len(row.value)} bytes"
        for at in range(0, len(row.value), HEX_BYTES):
            part = row.value[at : at + HEX_BYTES]
            readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
            yield f"  {at:08x}  {part.hex(' '):<{HEX_BYTES * 3 - 1}}  {readable}"


def _hex_time(row: Row) -> str:
    return time_text(row.timestamp_ms) if row.timestamp_ms >= 0 else "without a time"


def _hex_or_null(data: bytes | None) -> str:
    return "null" if data is None else data.hex(" ") or "empty"


class _Parquet:
    """One file of records as they are: partition, offset, timestamp, key, value, headers."""

    def __init__(self, file: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        from ..core.records import RECORDS_SCHEMA

        if not file:
            raise ConfigError("--format=parquet: say with --output where the file goes")
        self._schema = RECORDS_SCHEMA.insert(0, pa.field("partition", pa.int32()))
        try:
            self._file, self._count = file, 0
            self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        except OSError as error:
            raise ConfigError(f"--output={file}: cannot be written: {error}") from error

    def write(self, records: Records) -> None:
        import pyarrow as pa

        self._count += records.num_rows
        partition = pa.array([records.partition] * records.num_rows, pa.int32())
        self._writer.write_batch(pa.record_batch([partition, *records.columns.columns], schema=self._schema))

    def close(self) -> None:
        self._writer.close()
        say(f"{counted(self._count, 'record')} written to {self._file}")
