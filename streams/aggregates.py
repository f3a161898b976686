"""Aggregates as a plan describes them: kind, column, parameters, and the type each gives. Pure.

What each keeps is in ops/accumulators.py. Stated errors: a quantile past `exact_up_to` distinct values is within 0.4 %
of a value of that rank; a distinct count past `exact_up_to` has a standard error of 1 / sqrt(exact_up_to / 2).
Tests: tests/streams/test_properties.py, tests/dsl/test_type_errors.py.
"""

from dataclasses import dataclass

import pyarrow as pa

from ..core.errors import PlanError
from .naming import choices

KINDS = ("count", "sum", "min", "max", "mean", "first", "last", "distinct", "quantile")
QUANTILE_EXACT_UP_TO = 1024
DISTINCT_EXACT_UP_TO = 4096


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate of a column; `quantile` is in 0..1, `exact_up_to` counts distinct values."""

    kind: str
    column: str | None = None
    quantile: float | None = None
    exact_up_to: int | None = None

    def __str__(self) -> str:
        inside = "" if self.column is None else repr(self.column)
        return f"{self.kind}({inside}{'' if self.quantile is None else f', {self.quantile}'})"


def is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) and not pa.types.is_uint64(kind))


def is_float(kind: pa.DataType) -> bool:
    return bool(pa.types.is_float32(kind) or pa.types.is_float64(kind))


def is_temporal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_duration(kind))


def is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_groupable(kind: pa.DataType) -> bool:
    """Whether rows may be grouped by a column of this type: its values have one representation each."""
    return is_integer(kind) or is_string(kind) or is_temporal(kind) or bool(pa.types.is_boolean(kind))


def result_type(name: str, aggregate: Aggregate, schema: pa.Schema, where: str) -> pa.DataType:
    """The type of an aggregate over rows of `schema`. Raises PlanError that names `where`, the column and a remedy."""
    spoken = f"{where}: {name}={aggregate}"
    if aggregate.kind == "count" and aggregate.column is None:
        return pa.int64()
    if aggregate.column is None:
        raise PlanError(f"{spoken} needs the name of a column")
    if not isinstance(aggregate.column, str):
        raise PlanError(
            f"{where}: {name}: {aggregate.kind} takes the name of a column, and there is no column {aggregate.column}; "
            f"{choices(aggregate.column, schema.names)}; what is to be computed belongs in with_columns()"
        )
    if aggregate.column not in schema.names:
        raise PlanError(f"{spoken}: there is no column {aggregate.column!r}; {choices(aggregate.column, schema.names)}")
    _check_parameters(spoken, aggregate)
    kind = schema.field(aggregate.column).type
    if aggregate.kind in ("count", "distinct", "first", "last"):
        if aggregate.kind == "count" or is_groupable(kind) or is_float(kind):
            return pa.int64() if aggregate.kind in ("count", "distinct") else kind
        raise PlanError(
            f"{spoken}: {aggregate.kind} does not take {kind}; cast the column to a string or a number first"
        )
    if aggregate.kind in ("min", "max"):
        if is_integer(kind) or is_float(kind) or is_temporal(kind):
            return kind
        raise PlanError(f"{spoken}: {aggregate.kind} needs numbers or times, and {aggregate.column!r} is {kind}; "
                        f"use first, last or distinct, or cast it in with_columns()")  # fmt: skip
    if not (is_integer(kind) or is_float(kind)):
        raise PlanError(f"{spoken}: {aggregate.kind} needs integers or floats, and {aggregate.column!r} is {kind}; "
                        f"cast it in with_columns() first")  # fmt: skip
    return pa.int64() if aggregate.kind == "sum" and is_integer(kind) else pa.float64()


def is_whole_number(value: object) -> bool:
    """Whether a parameter is an int, which bool is too in Python."""
    return isinstance(value, int) and not isinstance(value, bool)


def _check_parameters(spoken: str, aggregate: Aggregate) -> None:
    if aggregate.kind not in KINDS:
        raise PlanError(f"{spoken}: {aggregate.kind!r} is no aggregate; {choices(aggregate.kind, KINDS)}")
    quantile, limit = aggregate.quantile, aggregate.exact_up_to
    is_number = is_whole_number(quantile) or isinstance(quantile, float)
    if aggregate.kind == "quantile" and not (is_number and quantile is not None and 0 <= quantile <= 1):
        raise PlanError(f"{spoken}: a quantile must be a number from 0 to 1, such as 0.99")
    if limit is not None and not (is_whole_number(limit) and 16 <= limit <= 1_000_000):
        raise PlanError(f"{spoken}: exact_up_to={limit!r} must be a whole number from 16 to 1,000,000")
