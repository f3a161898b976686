"""JSON objects to columns: of declared types, of an envelope's schema, or of the types found in the batch. Pure.

Kafka Connect's JsonConverter writes `{"schema": ..., "payload": ...}` when schemas.enable is on. What a value is shows
in its bytes, so here the setting is only needed to insist on one of the two.
Source: org.apache.kafka.connect.json.JsonConverter. Tested in tests/connect/test_converters.py.
"""

from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ...core.errors import MillstreamError
from ...core.formats.api import NULL_VALUE, DecodedColumns, RowFailure
from ...core.formats.json import JsonFormat
from .found_types import found, single

ENVELOPE_START = b'{"schema":'
ENVELOPE_TYPES = {
    "string": pa.string(),
    "bytes": pa.binary(),
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
}
NO_SCHEMA = b"null"


class JsonConverter:
    """envelope: True wants one around every value, False none, None takes each batch as it comes."""

    def __init__(self, schema: pa.Schema | None, *, envelope: bool | None = None) -> None:
        self._format = JsonFormat(schema) if schema is not None else None
        self._envelope = envelope

    def decode(self, values: pa.Array) -> DecodedColumns:
        if self._format is not None and not self._envelope:
            return self._format.decode(values)
        return self._with_envelope(values) if self._has_envelope(values) else found(values)

    def _has_envelope(self, values: pa.Array) -> bool:
        if self._envelope is not None:
            return self._envelope
        present = values.drop_null()
        return len(present) > 0 and present[0].as_py().removeprefix(BOM_UTF8).startswith(ENVELOPE_START)

    def _with_envelope(self, values: pa.Array) -> DecodedColumns:
        """Values that share a schema are read as one; the schema is parsed once."""
        groups: dict[bytes, tuple[list[int], list[bytes]]] = {}
        failures = []
        for row, value in enumerate(values.to_pylist()):
            try:
                envelope = msgspec.json.decode((value or b"").removeprefix(BOM_UTF8), type=dict[str, msgspec.Raw])
                schema, payload = bytes(envelope["schema"]), bytes(envelope["payload"])
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError) as error:
                cause = NULL_VALUE if value is None else f"no envelope of schema and payload: {error}"
                failures.append(RowFailure(row, cause))
                continue
            rows, payloads = groups.setdefault(schema, ([], []))
            rows.append(row)
            payloads.append(payload)
        parts: list[DecodedColumns] = []
        for schema, (rows, payloads) in groups.items():
            try:
                part = _payload_columns(schema, pa.array(payloads, pa.binary()))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MillstreamError) as error:
                failures += [RowFailure(row, f"schema not understood: {error}") for row in rows]
                continue
            failures += [RowFailure(rows[failure.row], failure.cause) for failure in part.failures]
            parts.append(DecodedColumns(part.columns, np.array(rows, np.int64)[part.rows], []))
        return _in_order(parts, failures)


def _payload_columns(schema: bytes, payloads: pa.Array) -> DecodedColumns:
    """Without a schema, as Kafka Connect writes maps, the types are found."""
    if schema == NO_SCHEMA:
        return found(payloads)
    return JsonFormat(_envelope_schema(msgspec.json.decode(schema))).decode(payloads)


def _envelope_schema(schema: Any) -> pa.Schema:
    if schema["type"] != "struct":
        raise ValueError(f"its type is {schema['type']}, and a row is a struct")
    return pa.schema([(field["field"], _envelope_type(field)) for field in schema["fields"]])


def _envelope_type(field: Mapping[str, Any]) -> pa.DataType:
    if field.get("name") == "org.apache.kafka.connect.data.Timestamp":
        return pa.timestamp("ms", tz="UTC")
    if field["type"] not in ENVELOPE_TYPES:
        raise ValueError(f"field {field.get('field')}: type {field['type']} cannot be a column yet")
    return ENVELOPE_TYPES[field["type"]]


def _in_order(parts: Sequence[DecodedColumns], failures: list[RowFailure]) -> DecodedColumns:
    if not parts:
        return DecodedColumns(pa.RecordBatch.from_pydict({}), np.empty(0, np.int64), failures)
    tables = [pa.Table.from_batches([part.columns]) for part in parts]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        cause = f"its schema does not go with that of other rows: {error}"
        others = [RowFailure(int(row), cause) for part in parts[1:] for row in part.rows]
        return DecodedColumns(parts[0].columns, parts[0].rows, [*failures, *others])
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    return DecodedColumns(single(table.take(pa.array(order))), rows[order], failures)
