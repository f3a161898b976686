"""Which converter a sink's config means. Pure. Tested in tests/connect/test_converters.py."""

import difflib
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from ...core.errors import ConfigError, PlanError
from ...core.formats.encodings import UTF8, known_encoding
from .converter import Converter
from .json import JsonConverter
from .plain import PlainConverter

ENCODING = "value.converter.converter.encoding"
NAMES = ("json", "string", "bytes")
ALIASES = {
    "org.apache.kafka.connect.json.JsonConverter": "json",
    "org.apache.kafka.connect.storage.StringConverter": "string",
    "org.apache.kafka.connect.converters.ByteArrayConverter": "bytes",
    "JsonConverter": "json",
    "StringConverter": "string",
    "ByteArrayConverter": "bytes",
}
TYPES = {
    "string": pa.string(),
    "bytes": pa.binary(),
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "timestamp": pa.timestamp("ms", tz="UTC"),
    "date": pa.date32(),
}
# Other names of them, which topologies take too.
TYPE_ALIASES = {
    "str": "string",
    "binary": "bytes",
    "bool": "boolean",
    "int": "int64",
    "float": "float64",
    "double": "float64",
}


def declared_schema(declared: Mapping[str, object]) -> pa.Schema:
    """An Arrow schema from names of types. Raises ConfigError with every type that is not known."""
    faults: list[str] = []
    columns = [(column, _declared_type(column, kind, faults)) for column, kind in declared.items()]
    if faults:
        raise ConfigError(faults)
    return pa.schema(columns)


def _declared_type(name: str, kind: object, faults: list[str]) -> pa.DataType:
    """A type by its name; {"part": type} is an object, [type] a list. What is none of these becomes a fault."""
    if isinstance(kind, Mapping) and kind:
        return pa.struct([(part, _declared_type(f"{name}.{part}", each, faults)) for part, each in kind.items()])
    if isinstance(kind, list) and len(kind) == 1:
        return pa.list_(_declared_type(f"{name}[]", kind[0], faults))
    if isinstance(kind, str) and TYPE_ALIASES.get(kind, kind) in TYPES:
        return TYPES[TYPE_ALIASES.get(kind, kind)]
    near = difflib.get_close_matches(str(kind), TYPES, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ', an object {"id": "int64"} or a list ["string"]'
    faults.append(f"value.schema: {name}={kind!r}: must be one of {', '.join(TYPES)}{hint}")
    return pa.null()


def value_converter(values: Mapping[str, Any]) -> Converter:
    """The converter that a sink's config names; json when it names none. Raises ConfigError."""
    given = values["value.converter"] or "json"
    name = ALIASES.get(given, given)
    declared = values.get("value.schema")
    if name != "string" and ENCODING in values:
        raise ConfigError(f"{ENCODING} goes with value.converter=string, not {name}: leave one of them out")
    if name == "json":
        envelope = _flag(values, "value.converter.schemas.enable")
        return JsonConverter(declared_schema(declared) if declared else None, envelope=envelope)
    if declared:
        raise ConfigError(f"value.schema goes with value.converter=json, not {name}: leave one of them out")
    if name == "string":
        return PlainConverter(pa.string(), _encoding(values))
    if name == "bytes":
        return PlainConverter(pa.binary())
    near = difflib.get_close_matches(given, [*NAMES, *ALIASES], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
    raise ConfigError(f"value.converter={given!r}: no such converter; {hint}")


def _encoding(values: Mapping[str, Any]) -> str:
    """Kafka Connect's StringConverter names encodings as Java does, of which Python knows the names too."""
    given = values.get(ENCODING, UTF8)
    try:
        return known_encoding(given)
    except PlanError as error:
        raise ConfigError(f"{ENCODING}={given!r}: no such encoding; write UTF-8, ISO-8859-1 or windows-1252") from error


def _flag(values: Mapping[str, Any], key: str) -> bool | None:
    text = str(values.get(key, "")).lower()
    if text not in ("", "true", "false"):
        raise ConfigError(f"{key}={values[key]!r}: must be true or false")
    return None if not text else text == "true"
