"""Rows to the bytes of one file: Parquet, JSON lines or plain text. Pure; runs in threads.

Tested in tests/connect/sinks/test_encodings.py.
"""

import base64
from dataclasses import dataclass
from typing import Any

import cramjam
import numpy as np
import polars as pl
import polars.selectors as selectors
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ....core.errors import ConfigError
from .types import conformed

COMPRESSIONS = {"none": "", "gzip": ".gz", "zstd": ".zst"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """format: parquet, json or text. codec: Parquet's own; compression: of the other two."""

    format: str
    codec: str
    compression: str

    @property
    def extension(self) -> str:
        name = {"json": "jsonl", "text": "txt"}.get(self.format, self.format)
        return name if self.format == "parquet" else name + COMPRESSIONS[self.compression]

    def encode(self, rows: pa.Table) -> bytes | memoryview:
        if self.format == "parquet":
            sink = pa.BufferOutputStream()
            pq.write_table(_with_fields(rows), sink, compression="none" if self.codec == "uncompressed" else self.codec)
            return memoryview(sink.getvalue())
        lines = _text(rows) if self.format == "text" else _json(rows)
        if self.compression == "gzip":
            return memoryview(cramjam.gzip.compress(lines))
        return memoryview(cramjam.zstd.compress(lines)) if self.compression == "zstd" else lines


def _with_fields(rows: pa.Table) -> pa.Table:
    """Without the columns whose type nobody knows yet: in no other file would they have that of this one.

    Those that were null in all rows so far, and objects without fields, which Parquet does not have. Where there are
    no others they stay, as null: a file without columns has no rows.
    """
    known = [(field.name, _known(field.type)) for field in rows.schema]
    schema = pa.schema([(name, kind) for name, kind in known if not pa.types.is_null(kind)] or known)
    if schema.equals(rows.schema):
        return rows
    return pa.Table.from_batches([conformed(batch, schema) for batch in rows.to_batches()], schema)


def _known(kind: pa.DataType) -> pa.DataType:
    """The type without the fields within objects whose type nobody knows; null where nothing is left of an object."""
    if pa.types.is_struct(kind):
        fields = [(field.name, _known(field.type)) for field in kind]
        known = [(name, inner) for name, inner in fields if not pa.types.is_null(inner)]
        return pa.struct(known or fields) if fields else pa.null()
    return pa.list_(_known(kind.value_type)) if pa.types.is_list(kind) else kind


def _json(rows: pa.Table) -> bytes:
    """One object a line; bytes are base64, as Kafka Connect writes them. Polars panics at bytes."""
    for number, field in enumerate(rows.schema):
        kind = _without_bytes(field.type)
        if pa.types.is_nested(field.type) and kind != field.type:
            texts = pa.array([_as_base64(value) for value in rows.column(number).to_pylist()], kind)
            rows = rows.set_column(number, field.name, texts)
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(selectors.binary().bin.encode("base64")).write_ndjson().encode()


def _without_bytes(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _without_bytes(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_without_bytes(kind.value_type))
    return pa.string() if pa.types.is_binary(kind) else kind


def _as_base64(value: Any) -> Any:
    """A nested value with text in place of the bytes within it."""
    if isinstance(value, dict):
        return {name: _as_base64(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_base64(item) for item in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def text_fault(schema: pa.Schema) -> str:
    """Why rows with these columns cannot be lines of text; "" where they can. Null alone is an empty line."""
    kind = schema.types[0] if len(schema) == 1 else None
    if kind is not None and (pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_null(kind)):
        return ""
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema) or "no column"
    return (
        f"format.class=text writes one column of text, but the rows have {columns}; choose format.class=json, or "
        f"value.converter=string with neither value.schema nor metadata.columns"
    )


def _text(rows: pa.Table) -> memoryview:
    """Each row's text and a newline after it; null is an empty line."""
    if fault := text_fault(rows.schema):
        raise ConfigError(fault)
    column = pc.fill_null(rows.column(0).cast(pa.large_binary()), b"")
    lines = pc.binary_join_element_wise(column, pa.scalar(b"", pa.large_binary()), pa.scalar(b"\n", pa.large_binary()))
    whole = lines.combine_chunks()
    _, ends, data = whole.buffers()
    first, last = np.frombuffer(ends, np.int64)[[whole.offset, whole.offset + len(whole)]]
    return memoryview(data)[first:last]
