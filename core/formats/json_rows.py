"""JSON row by row: the slow path of formats/json.py, which also says what is wrong with a row. Pure.

A wanted value has to be of the declared kind: whole numbers may be written as 3.0, numbers are no strings, and times
are milliseconds since 1970 or ISO-8601 text, bytes are base64 as Kafka Connect writes them.
Tests: tests/core/formats/test_json.py.
"""

import base64
import binascii
import math
from codecs import BOM_UTF8
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec
import pyarrow as pa

from ..errors import PlanError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
DECODER: Final = msgspec.json.Decoder()
FLOAT32_LIMIT: Final = (2 - 2**-24) * 2.0**127

Coercion = Callable[[Any], Any]


class RowFault(Exception):
    """Why a row cannot be read."""


def read_object(value: bytes) -> dict[str, Any]:
    """The JSON object that `value` is. A byte order mark before it is passed over, as by Jackson. Raises RowFault."""
    if not value:
        raise RowFault("empty value")
    try:
        found = DECODER.decode(value.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise RowFault(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise RowFault(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise RowFault(f"not a JSON object: {shown(found)}")
    return found


def shown(value: Any) -> str:
    """A value as JSON, cut to a length that fits a message."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


def as_integer(low: int, high: int) -> Coercion:
    def coerce(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise RowFault(f"{shown(value)} is not an integer")
        if not low <= value <= high:
            raise RowFault(f"{shown(value)} is not from {low} to {high}")
        return value

    return coerce


def as_double(limit: float) -> Coercion:
    def coerce(value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise RowFault(f"{shown(value)} is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not abs(number) < limit:
            raise RowFault(f"{shown(value)} is too large for a floating-point number")
        return number

    return coerce


def as_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise RowFault(f"{shown(value)} is not true or false")
    return value


def as_string(value: Any) -> str:
    if not isinstance(value, str):
        raise RowFault(f"{shown(value)} is not a string")
    return value


def as_time_ms(value: Any) -> int:
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            raise RowFault(f"{shown(value)} is not an ISO-8601 time") from None
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (time - EPOCH) // MILLISECOND
    try:
        return as_integer(-(2**63), 2**63 - 1)(value)  # type: ignore[no-any-return]
    except RowFault:
        raise RowFault(f"{shown(value)} is not a time in ms or in ISO-8601") from None


def as_date(value: Any) -> date:
    try:
        return date.fromisoformat(as_string(value))
    except (RowFault, ValueError):
        raise RowFault(f"{shown(value)} is not a date such as 2024-02-29") from None


def as_bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(as_string(value), validate=True)
    except (RowFault, binascii.Error, ValueError):
        raise RowFault(f"{shown(value)} is not base64") from None


def as_list(item: Coercion) -> Coercion:
    def coerce(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise RowFault(f"{shown(value)} is not an array")
        return [None if entry is None else item(entry) for entry in value]

    return coerce


def as_struct(members: dict[str, Coercion]) -> Coercion:
    def coerce(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise RowFault(f"{shown(value)} is not an object")
        return {name: None if value.get(name) is None else member(value[name]) for name, member in members.items()}

    return coerce


def integer_bounds(kind: Any) -> tuple[int, int]:
    """Lowest and highest value of an Arrow integer type, within int64."""
    if pa.types.is_signed_integer(kind):
        return -(1 << kind.bit_width - 1), (1 << kind.bit_width - 1) - 1
    return 0, (1 << min(kind.bit_width, 63)) - 1


def is_time(kind: Any) -> bool:
    return bool(pa.types.is_timestamp(kind)) and kind.unit == "ms" and kind.tz in (None, "UTC")


def coercion(kind: Any, where: str) -> Coercion:
    """How a JSON value becomes a value of the Arrow type `kind`. Raises PlanError for a type JSON does not give."""
    if pa.types.is_integer(kind):
        return as_integer(*integer_bounds(kind))
    if pa.types.is_float64(kind):
        return as_double(math.inf)
    if pa.types.is_float32(kind):
        return as_double(FLOAT32_LIMIT)
    if pa.types.is_boolean(kind):
        return as_boolean
    if pa.types.is_string(kind):
        return as_string
    if is_time(kind):
        return as_time_ms
    if pa.types.is_date32(kind):
        return as_date
    if pa.types.is_binary(kind):
        return as_bytes
    if pa.types.is_list(kind):
        return as_list(coercion(kind.value_type, f"{where}[]"))
    if pa.types.is_struct(kind):
        members = [kind.field(index) for index in range(kind.num_fields)]
        return as_struct({field.name: coercion(field.type, f"{where}.{field.name}") for field in members})
    raise PlanError(
        f"json: field {where} has the type {kind}; use int8 to int64, uint8 to uint64, float32, float64, bool, string, "
        f"binary, date32, timestamp('ms', tz='UTC'), or a list or struct of these"
    )
