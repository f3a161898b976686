"""Which records `millstream consume` shows: text that they hold, or a condition on the fields of their JSON. Pure.

Tested in tests/cli/test_consume.py.
"""

import difflib
import re
from typing import Any

import msgspec
import polars as pl

from ..core.errors import ConfigError
from ..core.formats.json_rows import RowFault, read_object
from ..core.records import Records, Row
from .console import counted

OWN = ("_key", "_partition", "_offset", "_timestamp")
PATH = re.compile(r"""(?<!["'\w.])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?!["'\w])""")
FIELDS_MAX = 1_000
"""Fields that are kept, to tell which of them may be meant."""


class TextFilter:
    """Records whose value or key holds a text, byte by byte."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def matching(self, records: Records) -> list[bool]:
        return [self._text in (row.value or b"") or self._text in (row.key or b"") for row in records.rows()]

    def notes(self) -> list[str]:
        return []


class JsonFilter:
    """Records whose value is a JSON object for which a SQL condition holds.

    A name in the condition is a field of the object, with dots of an object in it; _key, _partition, _offset and
    _timestamp are the record's own. A field that is not there is null, and null is not true.
    """

    def __init__(self, condition: str) -> None:
        self._condition = condition
        try:
            self._expression = pl.sql_expr(condition)
            self._names = tuple(dict.fromkeys(self._expression.meta.root_names()))
        except pl.exceptions.PolarsError as error:
            raise ConfigError(
                f"--filter={condition!r}: {error}; write a SQL condition on fields, such as status >= 500"
            ) from None
        self._other = self._incomparable = 0
        self._found: set[str] = set()
        self._fields: dict[str, None] = {}

    def matching(self, records: Records) -> list[bool]:
        rows = list(records.rows())
        documents = [_object(row.value) for row in rows]
        self._other += sum(document is None for document in documents)
        for document in documents:
            if len(self._fields) < FIELDS_MAX:
                self._fields |= dict.fromkeys(document or ())
        pairs = list(zip(rows, documents, strict=True))
        columns = {name: [self._value(records, *pair, name) for pair in pairs] for name in self._names}
        try:
            found = self._evaluate(columns, len(rows))
        except (pl.exceptions.PolarsError, TypeError):
            objects = (document is not None for document in documents)
            found = [is_object and self._one(columns, index) for index, is_object in enumerate(objects)]
        return [held and document is not None for held, document in zip(found, documents, strict=True)]

    def notes(self) -> list[str]:
        """What has to be said in the end about records that were left out, and fields that none has."""
        notes = [f"no JSON object in {counted(self._other, 'record')}"] if self._other else []
        if self._incomparable:
            notes.append(f"fields of another type than --filter needs in {counted(self._incomparable, 'record')}")
        said = [f"{', '.join(notes)}: left out"] if notes else []
        if self._incomparable and (path := PATH.search(self._condition)):
            said.append(f'a field of an object stands in double quotes: "{path[0]}"')
        for name in self._names if self._fields else ():
            if name not in self._found and name not in OWN:
                near = difflib.get_close_matches(name, self._fields, n=1, cutoff=0.6)
                said.append(f"no record has the field {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return said

    def _value(self, records: Records, row: Row, document: dict[str, Any] | None, name: str) -> Any:
        match name:
            case "_key":
                return None if row.key is None else row.key.decode(errors="replace")
            case "_partition":
                return records.partition
            case "_offset":
                return row.offset
            case "_timestamp":
                return row.timestamp_ms
        if document is None:
            return None
        found: Any = document
        for part in [name] if name in document else name.split("."):
            if not isinstance(found, dict) or part not in found:
                return None
            found = found[part]
        self._found.add(name)
        return _scalar(found)

    def _evaluate(self, columns: dict[str, list[Any]], count: int) -> list[bool]:
        series = [pl.Series(name, _alike(values), strict=True) for name, values in columns.items()]
        frame = pl.DataFrame(series) if series else pl.DataFrame({"row": range(count)})
        kept = frame.select(self._expression.alias("kept"))["kept"]
        if kept.dtype not in (pl.Boolean, pl.Null):
            raise ConfigError(f"--filter={self._condition!r}: gives {kept.dtype}, not true or false")
        found = [value is True for value in kept.to_list()]
        return found * count if len(found) == 1 and count != 1 else found

    def _one(self, columns: dict[str, list[Any]], index: int) -> bool:
        try:
            return self._evaluate({name: values[index : index + 1] for name, values in columns.items()}, 1)[0]
        except (pl.exceptions.PolarsError, TypeError):
            self._incomparable += 1
            return False


def _object(value: bytes | None) -> dict[str, Any] | None:
    try:
        return read_object(value or b"")
    except RowFault:
        return None


def _scalar(value: Any) -> Any:
    """Objects and lists are compared as their JSON."""
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


def _alike(values: list[Any]) -> list[Any]:
    """Whole numbers among others are numbers like them."""
    if any(type(value) is float for value in values):
        return [float(value) if type(value) is int else value for value in values]
    return values
