"""Lines of text to columns by a pattern's named groups. Pure.

polars does the work on whole batches with Rust's regular expressions; a pattern that only Python understands
(look-around, back-references) works too, row by row. Tests: tests/core/formats/test_regex.py.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ..errors import PlanError
from .api import DecodedColumns, RowFailure, good_rows
from .text import text_of
from .time_formats import has_year, without_year

SAMPLE_TIME: Final = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
BOOLEANS: Final = {"true": True, "false": False}
ISO_TIMES: Final = (
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
)
NO_MATCH: Final = "the pattern does not match"
Texts = Any


class RegexFormat:
    """Each named group of the pattern is a column, null where the group took no part in the match.

    The pattern is searched for anywhere in the line: add ^ and $ to match all of it.
    schema: types of groups, string for others: integers, floats, bool (true, false), timestamp("ms", tz="UTC").
    time_formats: strptime formats of timestamp groups; without one, ISO-8601. A time without a zone is UTC.
    null_text: a text that stands for null in every group, such as "-".
    """

    def __init__(
        self,
        pattern: str,
        schema: pa.Schema | None = None,
        *,
        time_formats: Mapping[str, str] | None = None,
        null_text: str | None = None,
    ) -> None:
        self.pattern = pattern
        self.time_formats = dict(time_formats or {})
        self.null_text = null_text
        self._python, names = _compiled(pattern)
        self._is_vectorised = _polars_accepts(pattern)
        types = {} if schema is None else {field.name: field.type for field in schema}
        _check_names("schema", types, names)
        _check_names("time_formats", self.time_formats, names)
        self.schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
        for field in self.schema:
            _check_type(field, self.time_formats.get(field.name))

    def decode(self, values: Any) -> DecodedColumns:
        texts, failures = text_of(values)
        lines = pl.Series("line", texts, dtype=pl.String)
        groups, matched = self._groups(lines)
        causes = {failure.row: failure.cause for failure in failures}
        for row in np.flatnonzero(~matched).tolist():
            causes.setdefault(row, NO_MATCH)
        arrays = [self._typed(field, groups[field.name], causes) for field in self.schema]
        failures = [RowFailure(row, causes[row]) for row in sorted(causes)]
        rows = good_rows(len(lines), failures)
        columns = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        return DecodedColumns(columns.take(pa.array(rows)) if failures else columns, rows, failures)

    def encode(self, columns: pa.RecordBatch) -> Any:
        raise PlanError(f"columns {', '.join(columns.schema.names)} cannot be written by a pattern; use json or text")

    def _groups(self, lines: Texts) -> tuple[dict[str, Texts], npt.NDArray[np.bool_]]:
        """Text of each group, and which lines match."""
        if self._is_vectorised:
            try:
                struct = lines.str.extract_groups(self.pattern).struct
                groups = {name: struct.field(name) for name in self.schema.names}
                if all(len(group) == len(lines) for group in groups.values()):
                    return groups, self._matched(lines, groups)
            except pl.exceptions.PolarsError:
                pass  # What the bulk call cannot do for one line is done for each line below.
        return self._groups_by_row(lines)

    def _matched(self, lines: Texts, groups: dict[str, Texts]) -> npt.NDArray[np.bool_]:
        """Which lines match: those with any group, and of the others those that the pattern is found in."""
        matched = np.zeros(len(lines), np.bool_)
        for group in groups.values():
            matched |= group.is_not_null().to_numpy()
        empty = np.flatnonzero(~matched)
        if len(empty):
            matched[empty] = lines.gather(empty).str.contains(self.pattern).fill_null(False).to_numpy()
        return matched

    def _groups_by_row(self, lines: Texts) -> tuple[dict[str, Texts], npt.NDArray[np.bool_]]:
        matches = [None if line is None else self._python.search(line) for line in lines.to_list()]
        matched = np.array([match is not None for match in matches], np.bool_)
        return {
            name: pl.Series(name, [None if match is None else match[name] for match in matches], dtype=pl.String)
            for name in self.schema.names
        }, matched

    def _typed(self, field: pa.Field, texts: Texts, causes: dict[int, str]) -> Any:
        """The group as its type; a row whose text does not fit is added to `causes`."""
        if self.null_text is not None:
            texts = texts.set(texts == self.null_text, None)
        time_format = self.time_formats.get(field.name)
        typed = _converted(texts, field.type, time_format)
        spoken = _spoken(field, time_format)
        for row in (typed.is_null() & texts.is_not_null()).arg_true().to_list():
            causes.setdefault(row, f"group {field.name}: {texts[row]!r:.60} is not {spoken}")
        return typed.to_arrow().cast(field.type)


def _compiled(pattern: str) -> tuple[re.Pattern[str], list[str]]:
    """The pattern for Python, in which groups may be named in Rust's other way, and the group names in order."""
    try:
        compiled = re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern))
    except re.error as error:
        raise PlanError(
            f"regex: pattern {pattern!r}: {error}; see the syntax of Python's re or Rust's regex"
        ) from error
    if not compiled.groupindex:
        raise PlanError(
            f"regex: pattern {pattern!r} has no named groups; name those that are columns, as (?P<host>\\S+)"
        )
    return compiled, list(compiled.groupindex)


def _polars_accepts(pattern: str) -> bool:
    try:
        pl.Series([""]).str.extract_groups(pattern)
    except pl.exceptions.PolarsError:
        return False
    return True


def _check_names(what: str, given: Mapping[str, Any], names: list[str]) -> None:
    for name in given:
        if name not in names:
            near = get_close_matches(name, names, 1)
            remedy = f"did you mean {near[0]}?" if near else f"the groups are {', '.join(names)}"
            raise PlanError(f"regex: {what} names {name!r}, which is no group of the pattern; {remedy}")


def _check_type(field: pa.Field, time_format: str | None) -> None:
    kind = field.type
    if pa.types.is_timestamp(kind) and kind.unit == "ms" and kind.tz in (None, "UTC"):
        if time_format is not None:
            if not has_year(time_format):
                raise PlanError(f"regex: time_formats[{field.name!r}]={time_format!r} {without_year(time_format)}")
            sample = pl.Series([SAMPLE_TIME.strftime(time_format)])
            if _times(sample, time_format).is_null().any():
                raise PlanError(
                    f"regex: time_formats[{field.name!r}]={time_format!r} does not read its own text {sample[0]!r}; "
                    f"use directives such as %d/%b/%Y:%H:%M:%S %z"
                )
    elif time_format is not None:
        raise PlanError(f"regex: time_formats names {field.name!r}, whose type is {kind}; declare it as 'timestamp'")
    elif not (pa.types.is_string(kind) or _is_number(kind) or pa.types.is_boolean(kind)):
        raise PlanError(
            f"regex: group {field.name} has the type {kind}; use string, int8 to int64, uint8 to uint64, "
            f"float32, float64, bool or timestamp"
        )


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind))


def _spoken(field: pa.Field, time_format: str | None) -> str:
    """What a text had to be."""
    if not pa.types.is_timestamp(field.type):
        return str(field.type)
    if time_format is None:
        return f"an ISO-8601 time; give its format in time_formats={{{field.name!r}: '%d/%b/%Y:%H:%M:%S %z'}}"
    return f"a time as {time_format}"


def _converted(texts: Texts, kind: Any, time_format: str | None) -> Texts:
    """The texts as the type, null where they do not fit."""
    if pa.types.is_timestamp(kind):
        if time_format is not None:
            return _times(texts, time_format)
        found = _times(texts, ISO_TIMES[0])
        for iso_format in ISO_TIMES[1:]:
            if found.null_count() > texts.null_count():
                found = found.zip_with(found.is_not_null(), _times(texts, iso_format))
        return found
    if pa.types.is_boolean(kind):
        return texts.str.to_lowercase().replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)
    if pa.types.is_string(kind):
        return texts
    return texts.cast(pl.Series(values=pa.array([], kind)).dtype, strict=False)


def _times(texts: Texts, time_format: str) -> Texts:
    found = texts.str.to_datetime(time_format, time_unit="ms", strict=False, ambiguous="null")
    zone = found.dtype.time_zone
    return found.dt.replace_time_zone("UTC") if zone is None else found.dt.convert_time_zone("UTC")
