"""Formats of values as users name them: json, text, raw, regex and log formats. Pure.

The formats themselves are in core/formats, imported when a topology is built. Tests: tests/dsl/test_serdes.py.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeAlias

import pyarrow as pa

from ..core.errors import PlanError
from ..streams.naming import choices
from ..streams.plan import ValueFormat

PYTHON_TYPES: dict[Any, pa.DataType] = {
    int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_(), bytes: pa.binary(),
    datetime: pa.timestamp("ms", "UTC"), date: pa.date32(),
}  # fmt: skip
NAMED_TYPES = {
    "string": pa.string(), "str": pa.string(), "int64": pa.int64(), "int": pa.int64(), "int32": pa.int32(),
    "int16": pa.int16(), "int8": pa.int8(), "float64": pa.float64(), "float": pa.float64(), "double": pa.float64(),
    "float32": pa.float32(), "bool": pa.bool_(), "boolean": pa.bool_(), "bytes": pa.binary(), "binary": pa.binary(),
    "timestamp": pa.timestamp("ms", "UTC"), "date": pa.date32(),
}  # fmt: skip
SchemaLike: TypeAlias = Any


def schema_of(where: str, schema: SchemaLike) -> pa.Schema:
    """A schema from {"name": "int64"}, {"name": int} or pyarrow types; {"name": {"part": "int64"}} is an object in it.

    Raises PlanError for a type it does not know.
    """
    if isinstance(schema, pa.Schema):
        return schema
    if not isinstance(schema, Mapping):
        raise PlanError(f'{where}: the schema {schema!r} is no dict; write {{"host": str, "bytes": "int64"}}')
    if not schema:
        raise PlanError(f"{where}: the schema is empty; name at least one column")
    return pa.schema([pa.field(_name(where, name), _type(where, name, kind)) for name, kind in schema.items()])


def _name(where: str, name: object) -> str:
    if not isinstance(name, str):
        raise PlanError(f"{where}: {name!r} is no name of a column; write it as text")
    if not name.isascii() and name != name.encode(errors="replace").decode():
        raise PlanError(f"{where}: {name!r} is no name of a column: it holds half of a character")
    return name


def _type(where: str, name: str, kind: Any) -> pa.DataType:
    if isinstance(kind, pa.DataType):
        return kind
    if isinstance(kind, str) and kind in NAMED_TYPES:
        return NAMED_TYPES[kind]
    if isinstance(kind, type) and kind in PYTHON_TYPES:
        return PYTHON_TYPES[kind]
    if isinstance(kind, Mapping) and kind:
        return pa.struct([(_name(where, part), _type(where, f"{name}.{part}", each)) for part, each in kind.items()])
    if isinstance(kind, list) and len(kind) == 1:
        return pa.list_(_type(where, f"{name}[]", kind[0]))
    spoken = kind.__name__ if isinstance(kind, type) else kind
    raise PlanError(
        f"{where}: column {name!r} has type {spoken!r}, which is not known; {choices(spoken, NAMED_TYPES)}; an object "
        f'is {{"id": "int64"}}, a list ["string"]'
    )


def json(schema: SchemaLike | None = None) -> ValueFormat:
    """JSON objects. Reading needs a schema, such as {"host": str, "bytes": "int64"}; writing does not.

    An object in the object is {"user": {"id": "int64"}}, read as col("user").struct.field("id"); a list ["string"].
    """
    from ..core.formats.json import JsonFormat

    return JsonFormat(None if schema is None else schema_of("json", schema))


def text(column: str = "line", *, encoding: str | None = None) -> ValueFormat:
    """Each value is one string, in one column.

    encoding: of values that are not UTF-8, such as "latin-1"; Python's names. It is for reading.
    """
    from ..core.formats.encodings import reencoded
    from ..core.formats.text import TextFormat

    return reencoded(TextFormat(_name("text", column)), encoding)


def raw(column: str = "value") -> ValueFormat:
    """Each value as bytes, unread, in one column."""
    from ..core.formats.raw import RawFormat

    return RawFormat(_name("raw", column))


def regex(
    pattern: str,
    schema: SchemaLike | None = None,
    *,
    time_formats: Mapping[str, str] | None = None,
    null_text: str | None = None,
    encoding: str | None = None,
) -> ValueFormat:
    """The named groups of a pattern as columns; types by `schema`, strings otherwise.

    time_formats: how timestamps are written that are not ISO 8601, such as {"time": "%d/%b/%Y:%H:%M:%S %z"}.
    null_text: a text that stands for null, such as "-". encoding: of lines that are not UTF-8, such as "latin-1".
    """
    from ..core.formats.encodings import reencoded
    from ..core.formats.regex import RegexFormat

    if not isinstance(pattern, str):
        raise PlanError(f"regex: {pattern!r} is no pattern; write it as text, such as r'(?P<host>\\S+) (?P<size>\\d+)'")
    if time_formats is not None and not (
        isinstance(time_formats, Mapping) and all(isinstance(one, str) for one in time_formats.values())
    ):
        raise PlanError(
            f'regex: time_formats={time_formats!r} is no dict of formats; write {{"time": "%d/%b/%Y:%H:%M:%S %z"}}'
        )
    if null_text is not None and not isinstance(null_text, str):
        raise PlanError(f"regex: null_text={null_text!r} is no text; write it as text, such as '-'")
    types = None if schema is None else schema_of("regex", schema)
    return reencoded(RegexFormat(pattern, types, time_formats=time_formats, null_text=null_text), encoding)


def combined_log(*, encoding: str | None = None) -> ValueFormat:
    """Lines in the combined log format of Apache and nginx. encoding: if it is not UTF-8, such as "latin-1"."""
    from ..core.formats.encodings import reencoded
    from ..core.formats.logs import combined_log as log_format

    return reencoded(log_format(), encoding)


def common_log(*, encoding: str | None = None) -> ValueFormat:
    """Lines in the common log format of Apache and nginx. encoding: if it is not UTF-8, such as "latin-1"."""
    from ..core.formats.encodings import reencoded
    from ..core.formats.logs import common_log as log_format

    return reencoded(log_format(), encoding)
